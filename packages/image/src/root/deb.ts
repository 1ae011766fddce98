/** Binary packages, deb(5), read through dpkg-deb: the control members, and the files as a tar stream. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib';
import { readTar } from '@osguard/formats/tar';

import { ImageError } from '../error.ts';
import { ended, toolEnvironment, toolFailed } from '../process/run.ts';

export interface Control {
  /** Fields of the control file, names in lower case. */
  readonly fields: ReadonlyMap<string, string>;
  /** The control file as it is. */
  readonly text: string;
  /** All other members: maintainer scripts, conffiles, triggers, templates. */
  readonly members: ReadonlyMap<string, Uint8Array>;
}

const hint = 'sudo apt-get install dpkg';
/** No control archive of Debian comes near. Bytes. */
const largestControl = 64 * 1024 * 1024;

/** Reads the control members; keeps them uncompressed beside the .deb, because starting dpkg-deb costs more. */
export async function readControl(deb: string, signal?: AbortSignal): Promise<Control> {
  const kept = deb.replace(/\.deb$/, '.control.tar');
  const cached = await readFile(kept).catch(() => undefined);
  if (cached !== undefined) {
    try {
      return parseControl(cached);
    } catch {
      // Half-written or damaged: made again below.
    }
  }
  const tar = await collect(deb, signal);
  const control = parseControl(tar);
  const part = `${kept}.${process.pid}.tmp`;
  await writeFile(part, tar);
  await rename(part, kept);
  return control;
}

async function collect(deb: string, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of debStream(deb, '--ctrl-tarfile', signal)) {
    size += chunk.length;
    if (size > largestControl)
      throw new ImageError('package', `${deb} has a control archive beyond ${largestControl} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/**
 * The files of a package as chunks of an uncompressed tar. Unpacking xz is a quarter of an installation's work, so
 * the archive is kept beside the .deb in a form that unpacks ten times faster, with a checksum of its own.
 */
export async function* fileStream(deb: string, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  const kept = deb.replace(/\.deb$/, '.files.tar.zst');
  if (await isFile(kept)) {
    try {
      const source = createReadStream(kept);
      const unpacked = createZstdDecompress();
      source.on('error', (error) => unpacked.destroy(error));
      const chunks: AsyncIterable<Buffer> = source.pipe(unpacked);
      yield* chunks;
      return;
    } catch (cause) {
      await rm(kept, { force: true });
      throw new ImageError('package', `the cached file ${kept} is damaged and was removed`, {
        hint: 'run the same command again',
        cause,
      });
    }
  }
  const part = `${kept}.${process.pid}.tmp`;
  const compress = createZstdCompress({
    params: { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 },
  });
  const written = pipeline(compress, createWriteStream(part));
  // Seen below; until then it must not count as unhandled.
  written.catch(() => undefined);
  try {
    for await (const chunk of debStream(deb, '--fsys-tarfile', signal)) {
      if (!compress.write(chunk)) await Promise.race([once(compress, 'drain'), written]);
      yield chunk;
    }
    compress.end();
    await written;
    await rename(part, kept);
  } finally {
    compress.destroy();
    await rm(part, { force: true });
  }
}

async function isFile(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

async function* debStream(
  deb: string,
  what: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  const child = spawn('dpkg-deb', [what, deb], { env: toolEnvironment(), stdio: ['ignore', 'pipe', 'pipe'] });
  const status = ended(child, { file: 'dpkg-deb', signal, hint });
  // Seen below; until then it must not count as unhandled.
  status.catch(() => undefined);
  let problem = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    problem = (problem + text).slice(-10_000);
  });
  try {
    const chunks: AsyncIterable<Buffer> = child.stdout;
    yield* chunks;
    const code = await status;
    if (code !== 0) throw toolFailed('dpkg-deb', code, problem);
  } finally {
    child.kill();
  }
}

export function parseControl(tar: Uint8Array): Control {
  const members = new Map<string, Uint8Array>();
  let chunks: Uint8Array[] = [];
  for (const event of readTar([tar])) {
    if (event.type === 'entry') chunks = [];
    else if (event.type === 'data') chunks.push(event.bytes);
    else if (event.entry.kind === 'file')
      members.set(event.entry.path.replace(/^\.\//, ''), Buffer.concat(chunks));
  }
  const text = Buffer.from(members.get('control') ?? []).toString('utf8');
  const fields = parseFields(text);
  if (!fields.has('package')) throw new ImageError('package', 'a package without a control file');
  members.delete('control');
  return { fields, text: `${text.trimEnd()}\n`, members };
}

/** deb822(5), one stanza; continuation lines are joined with newlines. */
export function parseFields(stanza: string): Map<string, string> {
  const fields = new Map<string, string>();
  let name = '';
  for (const line of stanza.split('\n')) {
    if (/^[ \t]/.test(line)) {
      fields.set(name, `${fields.get(name) ?? ''}\n${line.trim()}`);
      continue;
    }
    const colon = line.indexOf(':');
    if (colon < 1) continue;
    name = line.slice(0, colon).toLowerCase();
    fields.set(name, line.slice(colon + 1).trim());
  }
  return fields;
}

/** Names in a relationship field, one list for each `,`: the alternatives, without versions and architectures. */
export function parseRelations(field: string | undefined): readonly (readonly string[])[] {
  if (field === undefined || field === '') return [];
  return field
    .split(',')
    .map((group) =>
      group.split('|').flatMap((alternative) => /^\s*([a-z0-9][a-z0-9+.-]*)/.exec(alternative)?.[1] ?? []),
    );
}
