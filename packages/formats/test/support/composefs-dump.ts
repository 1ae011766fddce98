/** The text form composefs describes trees in (composefs-dump(5)), as far as the public vectors use it. */

export interface DumpEntry {
  readonly path: string;
  readonly size: number;
  readonly mode: number;
  /** The entry is a hard link to {@link payload}. */
  readonly hardLink: boolean;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  readonly mtime: number;
  readonly mtimeNsec: number;
  /** Symlink or hard link target, or the file that has the content. */
  readonly payload: string | undefined;
  readonly content: Uint8Array | undefined;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
}

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '\\': '\\' };

function unescapeBytes(field: string): Uint8Array {
  const plain = field.replace(/\\(x[0-9a-f]{2}|.)/g, (_, code: string) =>
    code.startsWith('x') ? String.fromCharCode(Number.parseInt(code.slice(1), 16)) : (escapes[code] ?? code),
  );
  return Buffer.from(plain, 'latin1');
}

function optional(field: string | undefined): Uint8Array | undefined {
  return field === undefined || field === '-' ? undefined : unescapeBytes(field);
}

export function parseDump(dump: Uint8Array): readonly DumpEntry[] {
  const lines = Buffer.from(dump).toString('latin1').split('\n');
  return lines.filter((line) => line !== '').map(parseLine);
}

function parseLine(line: string): DumpEntry {
  const [path = '', size, modeField = '', , uid, gid, rdev, time = '', payload, content, , ...rest] = line
    .split(' ')
    .filter((field) => field !== '');
  const [seconds, nanoseconds] = time.split('.');
  const payloadBytes = optional(payload);
  const xattrs = rest.map((field) => {
    const split = field.indexOf('=');
    const name = Buffer.from(unescapeBytes(field.slice(0, split))).toString();
    return [name, unescapeBytes(field.slice(split + 1))] as const;
  });
  return {
    path: Buffer.from(unescapeBytes(path)).toString(),
    size: Number(size),
    mode: Number.parseInt(modeField.replace('@', ''), 8),
    hardLink: modeField.startsWith('@'),
    uid: Number(uid),
    gid: Number(gid),
    rdev: Number(rdev),
    mtime: Number(seconds),
    mtimeNsec: Number(nanoseconds),
    payload: payloadBytes === undefined ? undefined : Buffer.from(payloadBytes).toString(),
    content: optional(content),
    xattrs: new Map(xattrs),
  };
}
