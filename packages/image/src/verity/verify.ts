/**
 * Checks data against its hash tree and the tree against a root hash, from the root downwards as the kernel
 * does: what stands below a block that is not proven is itself not proven, whatever its digests say.
 */

import { FormatError } from '@osguard/formats/bytes';
import type { RootHash, VerityGeometry, VerityParameters } from '@osguard/formats/verity';
import {
  checkVeritySalt,
  parseRootHash,
  parseVeritySuperblock,
  verityGeometry,
  veritySuperblockSize,
} from '@osguard/formats/verity';
import type { Check, Held } from '../verify/checks.ts';
import { CheckFailed, CheckList } from '../verify/checks.ts';
import type { OpenArea, VerityArea } from './area.ts';
import { openArea } from './area.ts';
import { readFully } from './level-job.ts';
import type { VerityWorkOptions } from './run-level.ts';
import type { BadBlock, TreeParameters } from './tree-walk.ts';
import { TreeWalk } from './tree-walk.ts';

/** What a tree without superblock cannot say itself. */
export interface BareTree extends Omit<VerityParameters, 'superblock' | 'hashOffset'> {
  readonly salt: Uint8Array;
}

export interface VerifyVerityOptions extends VerityWorkOptions {
  readonly data: VerityArea;
  readonly tree: VerityArea;
  readonly rootHash: RootHash;
  /** Byte of the tree's area at which superblock or tree begins; 0 unless given. */
  readonly hashOffset?: number;
  /** The tree has no superblock, and these parameters. */
  readonly bare?: BareTree;
  /** Should hold the same data: compared in the same pass, so that each byte of the data is read once for both. */
  readonly twin?: VerityArea;
  /** Bad blocks that are listed, the first ones; they are all counted. 1000 unless given. */
  readonly maxBad?: number;
}

export interface VerityVerdict {
  /** True when every check was made and holds. */
  readonly ok: boolean;
  /** In order: superblock, data-present, tree-present, root-hash, tree, data. */
  readonly checks: readonly Check[];
  /** From the top of the tree downwards, then by index. */
  readonly bad: readonly BadBlock[];
  readonly badCount: number;
  /** With a twin of the size of the data, once all was looked at: the first block that is another one there. */
  readonly twin?: { readonly unlike: number | undefined };
  /** Absent when the superblock could not be read. */
  readonly geometry?: VerityGeometry;
}

const names = {
  superblock: { id: 'verity-superblock', title: 'the parameters of the hash tree can be read' },
  dataPresent: { id: 'verity-data-present', title: 'all protected data is there' },
  treePresent: { id: 'verity-tree-present', title: 'the whole hash tree is there' },
  rootHash: { id: 'verity-root-hash', title: 'the root hash is the digest of the top of the tree' },
  tree: { id: 'verity-tree', title: 'every block of the tree is the one its parent names' },
  data: { id: 'verity-data', title: 'every data block is the one the tree names' },
} as const;

/** Memory does not depend on the size of the data. @throws system errors when a file cannot be opened; AbortError. */
export async function verifyVerity(options: VerifyVerityOptions): Promise<VerityVerdict> {
  const list = new CheckList();
  using data = openArea(options.data, 'r');
  using tree = openArea(options.tree, 'r');
  using twin = options.twin === undefined ? undefined : openArea(options.twin, 'r');
  const parameters = await list.check({ ...names.superblock, where: tree.path }, () => {
    const value = readParameters(tree, options);
    return { found: describe(value.geometry), value };
  });
  if (parameters === undefined) {
    const { superblock: _, ...others } = names;
    for (const name of Object.values(others)) list.missing(name, 'the parameters are not known');
    return { ok: false, checks: list.checks, bad: [], badCount: 0 };
  }
  const { geometry } = parameters;
  const dataThere = await list.check({ ...names.dataPresent, where: data.path }, () =>
    present(data, geometry.dataBytes),
  );
  const treeThere = await list.check({ ...names.treePresent, where: tree.path }, () =>
    present(tree, geometry.hashEnd),
  );
  // A file of another size is not the same data: there is nothing to compare block by block.
  const comparable = twin?.present === geometry.dataBytes ? twin : undefined;
  const walk = new TreeWalk({
    data,
    tree,
    ...(comparable !== undefined && { twin: comparable }),
    options,
    parameters,
  });
  if (dataThere === undefined || treeThere === undefined) {
    for (const name of [names.rootHash, names.tree, names.data]) list.missing(name, 'bytes are missing');
  } else {
    await list.check({ ...names.rootHash, expected: options.rootHash }, () => walk.checkTop());
    await list.check(names.tree, () => walk.checkTree());
    await list.check(names.data, () => walk.checkData());
  }
  const { bad, badCount, compared } = walk;
  const ok = list.ok && badCount === 0;
  return {
    ok,
    checks: list.checks,
    bad,
    badCount,
    ...(compared !== undefined && { twin: compared }),
    geometry,
  };
}

function describe(geometry: VerityGeometry): string {
  const { algorithm, dataBlocks, dataBlockSize, hashBlockSize, levels } = geometry;
  return `${algorithm}, ${dataBlocks} blocks of ${dataBlockSize}, ${levels.length} levels of ${hashBlockSize}-byte blocks`;
}

function readParameters(
  tree: OpenArea,
  { hashOffset = 0, bare, rootHash }: VerifyVerityOptions,
): TreeParameters {
  const found = bare ?? readSuperblock(tree, hashOffset);
  checkVeritySalt(found.salt);
  const geometry = verityGeometry({ ...found, hashOffset, superblock: bare === undefined });
  parseRootHash(rootHash, geometry.digestSize);
  return { geometry, salt: found.salt };
}

function readSuperblock(tree: OpenArea, hashOffset: number): BareTree {
  const bytes = new Uint8Array(veritySuperblockSize);
  const end = tree.present ?? Number.MAX_SAFE_INTEGER;
  if (!Number.isSafeInteger(hashOffset) || hashOffset < 0 || hashOffset + bytes.length > end) {
    throw new FormatError('truncated', `no room for a superblock at ${hashOffset}`, { offset: hashOffset });
  }
  readFully(tree.fd, bytes, tree.offset + hashOffset);
  return parseVeritySuperblock(bytes);
}

/** @throws CheckFailed when the file ends before the area does; of a device only reading can tell. */
function present({ present: there, offset }: OpenArea, needed: number): Held<true> {
  if (there === undefined) return { found: 'a device, to be read', value: true };
  if (there < needed) {
    throw new CheckFailed(`${there} bytes`, { expected: `${needed} bytes`, where: `byte ${offset + there}` });
  }
  return { found: `${needed} bytes`, value: true };
}
