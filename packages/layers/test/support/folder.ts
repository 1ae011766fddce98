/** What is in a folder of this machine, line by line: to compare trees that different tools made. */

import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { decodeText, encodeText } from '@osguard/formats/bytes';
import { judge } from '@osguard/testkit';

export interface FolderOptions {
  /** Directories whose time is not compared: whoever removes something from one changes it. */
  readonly directoryTimes?: boolean;
}

/** By path, `.` for the folder itself. */
export function folderLines(folder: string, options: FolderOptions = {}): Record<string, string> {
  const lines: Record<string, string> = {};
  const names = new Map<string, string[]>();
  const visit = (path: string): void => {
    const place = Buffer.concat([Buffer.from(`${folder}/`), encodeText(path)]);
    const stats = lstatSync(place, { bigint: true });
    const { mode, uid, gid, dev, ino, mtimeNs, rdev } = stats;
    // Files of an overlay keep the numbers of the layer they are in.
    const inode = `${dev}:${ino}`;
    const parts = [mode.toString(8), `${uid}:${gid}`];
    if (!stats.isDirectory() || options.directoryTimes !== false) parts.push(`@${mtimeNs}`);
    if (stats.isSymbolicLink()) parts.push(`-> ${decodeText(readlinkSync(place, { encoding: 'buffer' }))}`);
    if (stats.isCharacterDevice() || stats.isBlockDevice()) parts.push(`device ${rdev}`);
    if (stats.isFile()) parts.push(createHash('sha256').update(readFileSync(place)).digest('hex'));
    if (!stats.isDirectory()) names.set(inode, [...(names.get(inode) ?? []), path]);
    lines[path] = parts.join(' ');
    if (!stats.isDirectory()) return;
    const children = readdirSync(place, { encoding: 'buffer' }).map(decodeText).sort();
    for (const name of children) visit(path === '.' ? name : `${path}/${name}`);
  };
  visit('.');
  // Names of one inode in this tree; link counts of an overlay also count names that are hidden.
  for (const group of names.values()) {
    if (group.length > 1) for (const path of group) lines[path] = `${lines[path] ?? ''} = ${group[0] ?? ''}`;
  }
  for (const [path, xattr] of xattrLines(folder)) lines[path] = `${lines[path] ?? 'missing'} ${xattr}`;
  return lines;
}

function xattrLines(folder: string): readonly (readonly [string, string])[] {
  const getfattr = judge('getfattr');
  if (getfattr === undefined) return [];
  const { stdout } = getfattr.run(['-R', '-P', '-h', '-d', '-m', '-', '-e', 'hex', '.'], { cwd: folder });
  const found: (readonly [string, string])[] = [];
  let path = '';
  for (const line of stdout.split('\n')) {
    if (line.startsWith('# file: ')) path = unescapeName(line.slice('# file: '.length));
    else if (line !== '') found.push([path, line]);
  }
  return found;
}

function unescapeName(text: string): string {
  const bytes = text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
  // getfattr escapes bytes that are no printable characters, and nothing else.
  return bytes === text ? text : decodeText(Buffer.from(bytes, 'latin1'));
}
