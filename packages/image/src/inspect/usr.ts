/** The file system of /usr: how much is in it, and which of its files deserve a look. */

import { posix } from 'node:path';
import type { ErofsImage, ErofsNode } from '@osguard/formats/erofs';
import { readErofs } from '@osguard/formats/erofs';
import { parseRootHash, rootHashPartitionIds } from '@osguard/formats/verity';
import { pruneRules } from '../prune/rules.ts';
import { formatFileCapabilities, parseFileCapabilities } from './capabilities.ts';
import type { Findings } from './findings.ts';
import type { NamedSource, OpenedImage } from './open.ts';
import type { OpenedPartition } from './partitions.ts';
import type { UsrReport } from './report.ts';

export interface OpenedUsr {
  readonly where: string;
  readonly image: ErofsImage;
  /** What its paths begin with on the host: `/usr`, or nothing when it is a whole root file system. */
  readonly prefix: '/usr' | '';
}

/** The partition the root hash names, else the first that can hold /usr, else the image beside the disk. */
export function openUsr(
  opened: OpenedImage,
  { rootHash, findings }: { readonly rootHash: string | undefined; readonly findings: Findings },
): OpenedUsr | undefined {
  const partition = findPartition(opened.disk?.partitions ?? [], { rootHash, findings });
  const chosen: NamedSource | undefined =
    partition === undefined
      ? opened.looseUsr
      : { where: `partition ${partition.number}`, source: partition.source };
  if (chosen === undefined) return undefined;
  const image = findings.attempt(chosen.where, () => readErofs(chosen.source));
  if (image === undefined) return undefined;
  const wholeRoot =
    partition?.typeName?.startsWith('root') === true ||
    (partition === undefined &&
      findings.attempt(chosen.where, () => image.lookup('/usr')?.type === 'directory') === true);
  return { where: chosen.where, image, prefix: wholeRoot ? '' : '/usr' };
}

function findPartition(
  partitions: readonly OpenedPartition[],
  { rootHash, findings }: { readonly rootHash: string | undefined; readonly findings: Findings },
): OpenedPartition | undefined {
  const data = partitions.filter(
    ({ typeName }) => typeName !== undefined && /^(?:usr|root)(?!.*Verity)/.test(typeName),
  );
  if (rootHash !== undefined) {
    const ids = findings.attempt('command line', () => rootHashPartitionIds(parseRootHash(rootHash)));
    const named = data.find(({ partition }) => partition.guid === ids?.data);
    if (named !== undefined) return named;
    if (data.length > 0)
      findings.add('disk', `no partition has the UUID ${ids?.data ?? ''} that follows from the root hash`);
  }
  const usr = data.find(
    ({ typeName, partition }) => typeName?.startsWith('usr') === true && partition.name !== '_empty',
  );
  return usr ?? data[0];
}

const mostLargest = 10;
/** Entries of each list. */
const mostListed = 1000;
const interpreterRules = pruneRules.filter(({ interpreters }) => interpreters === true);

export function describeUsr(opened: OpenedUsr, findings: Findings): UsrReport {
  const { where, image, prefix } = opened;
  const counts = { files: 0, directories: 0, symlinks: 0, others: 0 };
  const largest: { readonly path: string; readonly size: number }[] = [];
  const setuid: UsrReport['setuid'][number][] = [];
  const capabilities: UsrReport['capabilities'][number][] = [];
  const interpreters: string[] = [];
  const linked = new Set<number>();
  let [inodes, bytes, unlabelled, omitted] = [0, 0, 0, 0];
  const list = <T>(into: T[], entry: T): void => {
    if (into.length < mostListed) into.push(entry);
    else omitted += 1;
  };
  const look = (path: string, node: ErofsNode): void => {
    const again = node.type !== 'directory' && node.nlink > 1 && linked.has(node.nid);
    if (node.nlink > 1 && node.type !== 'directory') linked.add(node.nid);
    if (!again) {
      inodes += 1;
      counts[pluralOf(node.type)] += 1;
      if (node.type === 'file') {
        bytes += node.size;
        keepLargest(largest, { path, size: node.size });
      }
    }
    const xattrs = findings.attempt(`${where} ${path}`, () => image.xattrs(node));
    if (!again && xattrs?.has('security.selinux') !== true) unlabelled += 1;
    const value = xattrs?.get('security.capability');
    if (value !== undefined) {
      const text = findings.attempt(`${where} ${path}`, () =>
        formatFileCapabilities(parseFileCapabilities(value)),
      );
      list(capabilities, { path, capabilities: text ?? 'unreadable' });
    }
    if (node.type === 'file' && (node.mode & 0o6000) !== 0) {
      list(setuid, { path, mode: node.mode, uid: node.uid, gid: node.gid });
    }
    const relative = path.replace(/^\/+/, '');
    const named = interpreterRules.some(({ paths }) => paths?.test(relative) === true);
    if (named && interpreters.length < mostListed && runs(opened, path, node)) interpreters.push(path);
  };
  const complete = findings.attempt(where, () => {
    for (const { path, node } of image.walk()) look(path === '/' ? prefix || '/' : prefix + path, node);
    return true;
  });
  return {
    where,
    imageSize: image.size,
    inodes,
    ...counts,
    bytes,
    complete: complete === true,
    unlabelled,
    largest,
    setuid,
    capabilities,
    interpreters,
    omitted,
  };
}

const mostHops = 8;

/** An executable file, or a link that leads to a file. Debian's alternatives leave links to programs that are gone. */
function runs({ image, prefix }: OpenedUsr, path: string, start: ErofsNode): boolean {
  let [node, at]: [ErofsNode | undefined, string] = [start, path];
  for (let hop = 0; hop < mostHops && node?.type === 'symlink'; hop += 1) {
    at = posix.resolve(posix.dirname(at), image.symlinkTarget(node));
    // On the host /etc is this folder of /usr.
    if (prefix === '/usr' && at.startsWith('/etc/')) at = `/usr/share/factory${at}`;
    if (prefix === '/usr' && /^\/s?bin\//.test(at)) at = `/usr${at}`;
    node = at.startsWith(`${prefix}/`) ? image.lookup(at.slice(prefix.length)) : undefined;
  }
  return node?.type === 'file' && (node.mode & 0o111) !== 0;
}

function pluralOf(type: ErofsNode['type']): 'files' | 'directories' | 'symlinks' | 'others' {
  if (type === 'file') return 'files';
  if (type === 'directory') return 'directories';
  return type === 'symlink' ? 'symlinks' : 'others';
}

function keepLargest(
  largest: { readonly path: string; readonly size: number }[],
  entry: { readonly path: string; readonly size: number },
): void {
  if (largest.length === mostLargest && (largest.at(-1)?.size ?? 0) >= entry.size) return;
  const at = largest.findIndex(({ size }) => size < entry.size);
  largest.splice(at === -1 ? largest.length : at, 0, entry);
  if (largest.length > mostLargest) largest.pop();
}
