/**
 * The second half of an image, when every body is written: directory blocks, then the inode area with xattrs and
 * inline tails. All places are known before the first byte of it is written, so it goes out in one pass too.
 */

import { FormatError } from '../bytes/index.ts';
import type { DirectoryPlan } from './directory.ts';
import { encodeDirectoryBlock, planDirectory } from './directory.ts';
import { encodeInode, fitsCompact, inodeSize } from './inode.ts';
import type { ErofsInode, InodeTimes } from './inode.ts';
import { dataLayout, extendedInodeSize, nullBlock, slotSize } from './layout.ts';
import type { SequentialOutput } from './output.ts';
import { nameLength } from './names.ts';
import { Placement } from './placement.ts';
import type { TailStore } from './tails.ts';
import type { Tree, TreeDirectory, TreeNode } from './tree.ts';
import { xattrAreaSize } from './xattr.ts';
import type { XattrPool } from './xattr-pool.ts';
import { encodeXattrBody, xattrCount } from './xattr-pool.ts';

export interface FinishInput {
  readonly tree: Tree;
  readonly pool: XattrPool;
  readonly output: SequentialOutput;
  readonly tails: TailStore;
  readonly blockSize: number;
  readonly times: InodeTimes;
}

export interface Finished {
  readonly inodes: number;
  readonly rootNid: number;
  readonly metaBlock: number;
  readonly blocks: number;
}

interface PlannedDirectory {
  readonly entries: TreeDirectory['entries'];
  readonly plan: DirectoryPlan;
}

export function finishImage(input: FinishInput): Finished {
  const { tree, pool, output, blockSize } = input;
  const { nodes, directories } = tree.arrange();
  for (const node of nodes) {
    for (const entry of node.xattrs.entries) entry.uses += 1;
  }
  const shared = pool.layOutShared();

  let nextBlock = output.position / blockSize;
  const planned = new Map<TreeNode, PlannedDirectory>();
  for (const { node, entries } of directories) {
    const plan = layOutDirectory({ node, entries }, { input, firstBlock: nextBlock });
    planned.set(node, { entries, plan });
    nextBlock += Math.ceil((node.size - node.tailSize) / blockSize);
  }

  const placement = new Placement(blockSize);
  // Inode number 0 means "no entry" to readdir: the first slot stays empty.
  placement.place(slotSize);
  const [root, ...rest] = nodes;
  if (root === undefined) throw new Error('a tree has a root');
  root.offset = placement.place(recordSize(root, input));
  const sharedBase = shared.length === 0 ? 0 : placement.place(shared.length);
  for (const node of rest) node.offset = placement.place(recordSize(node, input));

  const metaBlock = nextBlock;
  const blocks = metaBlock + placement.blocks;
  if (blocks > nullBlock) throw new FormatError('not-encodable', `an image of ${blocks} blocks`);
  for (const [node, directory] of planned) writeDirectoryBlocks(node, directory, input);
  writeInodeArea({ nodes, planned, shared, sharedBase, metaBlock }, input);
  output.zeros(blocks * blockSize - output.position);
  return { inodes: nodes.length, rootNid: root.offset / slotSize, metaBlock, blocks };
}

function layOutDirectory(
  { node, entries }: TreeDirectory,
  { input, firstBlock }: { readonly input: FinishInput; readonly firstBlock: number },
): DirectoryPlan {
  const lengths = entries.map(({ name }) => nameLength(name));
  const plan = planDirectory(lengths, input.blockSize);
  const fullBlocks = plan.starts.length - 2;
  node.size = fullBlocks * input.blockSize + plan.lastSize;
  const record = inodeSize(!isCompact(node, input)) + xattrAreaSize(xattrCount(node.xattrs));
  node.tailSize = record + plan.lastSize <= input.blockSize ? plan.lastSize : 0;
  if (node.size > node.tailSize) node.firstBlock = firstBlock;
  return plan;
}

function isCompact(node: TreeNode, { times }: FinishInput): boolean {
  return fitsCompact(node, times);
}

/** Bytes an inode takes with its xattrs and inline tail. */
function recordSize(node: TreeNode, input: FinishInput): number {
  return inodeSize(!isCompact(node, input)) + xattrAreaSize(xattrCount(node.xattrs)) + node.tailSize;
}

function writeDirectoryBlocks(
  node: TreeNode,
  { entries, plan }: PlannedDirectory,
  { output, blockSize }: FinishInput,
): void {
  const inBlocks = plan.starts.length - (node.tailSize > 0 ? 2 : 1);
  for (let index = 0; index < inBlocks; index += 1) {
    output.write(directoryBlock({ entries, plan, index, size: blockSize }));
  }
}

interface BlockOfDirectory {
  readonly entries: TreeDirectory['entries'];
  readonly plan: DirectoryPlan;
  readonly index: number;
  readonly size: number;
}

function directoryBlock({ entries, plan, index, size }: BlockOfDirectory): Uint8Array {
  const target = new Uint8Array(size);
  encodeDirectoryBlock(target, entries.slice(plan.starts[index], plan.starts[index + 1]));
  return target;
}

interface InodeArea {
  readonly nodes: readonly TreeNode[];
  readonly planned: ReadonlyMap<TreeNode, PlannedDirectory>;
  readonly shared: Uint8Array;
  readonly sharedBase: number;
  readonly metaBlock: number;
}

function writeInodeArea(area: InodeArea, input: FinishInput): void {
  const { output, blockSize, tails } = input;
  const start = area.metaBlock * blockSize;
  const options = { input, sharedBase: area.sharedBase, scratch: scratchFor(area.nodes) };
  let sharedLeft = area.shared.length > 0;
  for (const node of area.nodes.toSorted((a, b) => a.offset - b.offset)) {
    if (sharedLeft && area.sharedBase < node.offset) {
      output.zeros(start + area.sharedBase - output.position);
      output.write(area.shared);
      sharedLeft = false;
    }
    output.zeros(start + node.offset - output.position);
    output.write(encodeRecord(node, options));
    if (node.tailSize === 0) continue;
    const directory = area.planned.get(node);
    if (directory !== undefined) {
      const { entries, plan } = directory;
      output.write(directoryBlock({ entries, plan, index: plan.starts.length - 2, size: plan.lastSize }));
    } else if (typeof node.tail === 'number') {
      output.write(tails.read(node.tail, node.tailSize));
    } else if (node.tail !== undefined) {
      output.write(node.tail);
    }
  }
  if (!sharedLeft) return;
  output.zeros(start + area.sharedBase - output.position);
  output.write(area.shared);
}

interface Scratch {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** One record's worth of memory, for all of them. */
function scratchFor(nodes: readonly TreeNode[]): Scratch {
  let size = extendedInodeSize;
  for (const { xattrs } of nodes)
    size = Math.max(size, extendedInodeSize + xattrAreaSize(xattrCount(xattrs)));
  const bytes = new Uint8Array(size);
  return { bytes, view: new DataView(bytes.buffer) };
}

interface RecordOptions {
  readonly input: FinishInput;
  readonly sharedBase: number;
  readonly scratch: Scratch;
}

/** The inode and its xattr body; valid until the next call. */
function encodeRecord(node: TreeNode, { input, sharedBase, scratch }: RecordOptions): Uint8Array {
  const extended = !isCompact(node, input);
  const count = xattrCount(node.xattrs);
  const bytes = scratch.bytes.subarray(0, inodeSize(extended) + xattrAreaSize(count));
  bytes.fill(0);
  const inode: ErofsInode = {
    extended,
    layout: node.tailSize > 0 ? dataLayout.flatInline : dataLayout.flatPlain,
    xattrCount: count,
    type: node.type,
    mode: node.mode,
    nlink: node.nlink,
    size: node.size,
    union: hasContent(node) ? node.firstBlock : node.rdev,
    ino: node.ino,
    uid: node.uid,
    gid: node.gid,
    mtime: node.mtime,
    mtimeNsec: node.mtimeNsec,
  };
  encodeInode(inode, scratch.view, 0);
  if (count > 0) encodeXattrBody(bytes.subarray(inodeSize(extended)), node.xattrs, sharedBase);
  return bytes;
}

function hasContent(node: TreeNode): boolean {
  return node.type === 'file' || node.type === 'directory' || node.type === 'symlink';
}
