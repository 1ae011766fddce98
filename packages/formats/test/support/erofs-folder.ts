/** A tree model put on a real file system, and a real folder listed like an image. */

import {
  chmodSync,
  linkSync,
  lstatSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { decodeText, encodeText } from '@osguard/formats/bytes';
import { judge } from '@osguard/testkit';
import type { Listing, Model, ModelNode } from './erofs-tree.ts';
import { describeNode } from './erofs-tree.ts';

/** Everything but times and xattrs is set with Node, those with one run of a tool each: needs root. */
export function putOnDisk(folder: string, model: Model): void {
  mkdirSync(folder, { recursive: true });
  const dump: string[] = [];
  const times: [Buffer, ModelNode][] = [];
  for (const [path, node] of model) {
    const place = Buffer.concat([Buffer.from(folder), encodeText(path === '/' ? '' : path)]);
    if (node.type === 'link') {
      linkSync(join(folder, node.target ?? ''), place);
      continue;
    }
    create(place, node);
    lchownSync(place, node.uid, node.gid);
    if (node.type !== 'symlink') chmodSync(place, node.mode);
    if (node.xattrs !== undefined && node.xattrs.size > 0) {
      dump.push(`# file: ${escapeName(place)}`);
      for (const [name, value] of node.xattrs) dump.push(`${name}=0x${Buffer.from(value).toString('hex')}`);
      dump.push('');
    }
    times.push([place, node]);
  }
  tool('setfattr', ['-h', '--restore=-'], Buffer.from(`${dump.join('\n')}\n`));
  // Depth first, or writing a child would change its directory's time again.
  for (const [place, { mtime, mtimeNsec = 0 }] of times.reverse()) {
    const script = `touch -h -d @${mtime}.${String(mtimeNsec).padStart(9, '0')} "$1"`;
    if (mtime !== 1_700_000_000 || mtimeNsec !== 0) tool('sh', ['-c', script, 'sh', place.toString()]);
  }
  const rest = times
    .filter(([, { mtime, mtimeNsec }]) => mtime === 1_700_000_000 && !mtimeNsec)
    .map(([place]) => place);
  tool(
    'xargs',
    ['-0', 'touch', '-h', '-d', '@1700000000'],
    Buffer.concat(rest.flatMap((place) => [place, Buffer.from([0])])),
  );
}

function create(place: Buffer, node: ModelNode): void {
  const { type, body = new Uint8Array(0), target = '', major = 0, minor = 0 } = node;
  if (type === 'directory') mkdirSync(place, { recursive: true });
  else if (type === 'file') writeFileSync(place, body);
  else if (type === 'symlink') symlinkSync(target, place);
  else if (type === 'fifo') tool('mknod', [place.toString(), 'p']);
  else if (type === 'char') tool('mknod', [place.toString(), 'c', String(major), String(minor)]);
  else if (type === 'block') tool('mknod', [place.toString(), 'b', String(major), String(minor)]);
  else if (type === 'socket')
    tool('python3', [
      '-c',
      'import os,stat,sys; os.mknod(sys.argv[1], stat.S_IFSOCK|0o600)',
      place.toString(),
    ]);
}

function tool(name: string, args: readonly string[], input?: Uint8Array): string {
  const found = judge(name);
  if (found === undefined) throw new Error(`${name} is not on this machine`);
  const { status, stdout, stderr } = found.run(args, input === undefined ? {} : { input });
  if (status !== 0) throw new Error(`${name}: ${stderr}`);
  return stdout;
}

/** As getfattr and setfattr write names in their dumps. */
function escapeName(name: Buffer): string {
  let result = '';
  for (const byte of name) {
    const plain = byte > 0x20 && byte < 0x7f && byte !== 0x5c && byte !== 0x3d;
    result += plain ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, '0')}`;
  }
  return result;
}

function unescapeName(name: string): string {
  const bytes = Buffer.from(name, 'utf8').toString('latin1');
  return decodeText(
    Buffer.from(
      bytes.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
      'latin1',
    ),
  );
}

export function listingOfFolder(folder: string): Listing {
  const xattrs = xattrsBelow(folder);
  const listing: Listing = {};
  const stack: { path: string; place: Buffer }[] = [{ path: '', place: Buffer.from(folder) }];
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    const { path, place } = top;
    const stats = lstatSync(place, { bigint: true });
    const type = stats.isDirectory()
      ? 'directory'
      : stats.isFile()
        ? 'file'
        : stats.isSymbolicLink()
          ? 'symlink'
          : stats.isFIFO()
            ? 'fifo'
            : stats.isSocket()
              ? 'socket'
              : stats.isBlockDevice()
                ? 'block'
                : 'char';
    const seconds = stats.mtimeNs / 1_000_000_000n - (stats.mtimeNs % 1_000_000_000n < 0n ? 1n : 0n);
    listing[path || '/'] = describeNode({
      type,
      mode: Number(stats.mode & 0o7777n),
      uid: Number(stats.uid),
      gid: Number(stats.gid),
      mtime: Number(seconds),
      mtimeNsec: Number(stats.mtimeNs - seconds * 1_000_000_000n),
      nlink: Number(stats.nlink),
      xattrs: xattrs.get(path || '/') ?? new Map(),
      ...(type === 'file' ? { body: readFileSync(place) } : {}),
      ...(type === 'symlink' ? { target: decodeText(readlinkSync(place, 'buffer')) } : {}),
      major: Number((stats.rdev >> 8n) & 0xfffn),
      minor: Number((stats.rdev & 0xffn) | ((stats.rdev >> 12n) & 0xf_ff00n)),
    });
    if (type !== 'directory') continue;
    for (const name of readdirSync(place, { encoding: 'buffer' })) {
      const child = Buffer.concat([place, Buffer.from('/'), name]);
      stack.push({ path: `${path}/${decodeText(name)}`, place: child });
    }
  }
  return listing;
}

function xattrsBelow(folder: string): ReadonlyMap<string, ReadonlyMap<string, Uint8Array>> {
  const dump = tool('getfattr', ['-h', '-P', '-R', '-d', '-m', '-', '-e', 'hex', '--absolute-names', folder]);
  const all = new Map<string, Map<string, Uint8Array>>();
  let current = new Map<string, Uint8Array>();
  for (const line of dump.split('\n')) {
    if (line.startsWith('# file: ')) {
      current = new Map();
      all.set(unescapeName(line.slice(8)).slice(folder.length) || '/', current);
    } else if (line !== '') {
      const [name = '', value = ''] = line.split('=');
      current.set(name, Buffer.from(value.slice(2), 'hex'));
    }
  }
  return all;
}
