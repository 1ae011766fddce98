/** The walk from the root hash down to the data: what it finds, and where. */

import type { RootHash, VerityGeometry, VerityLevel } from '@osguard/formats/verity';
import { rootHashOf } from '@osguard/formats/verity';
import type { Held } from '../verify/checks.ts';
import { CheckFailed } from '../verify/checks.ts';
import type { OpenArea } from './area.ts';
import { blockHashing, digestLayout } from './hash-window.ts';
import type { BlockRange, LevelJob } from './level-job.ts';
import { digestOfBlock } from './level-job.ts';
import type { VerityWorkOptions } from './run-level.ts';
import { runLevel, runOptions } from './run-level.ts';

/** A block that is not the one its parent's digest names, where every block above it is proven. */
export interface BadBlock {
  readonly area: 'data' | 'tree';
  /** Level of the tree from 0 (digests of data); -1 for data. */
  readonly level: number;
  /** Index in its level, or of the data block. */
  readonly index: number;
  /** Byte of the file at which the block begins. */
  readonly offset: number;
  /** The data blocks that cannot be trusted because of it. */
  readonly covers: { readonly first: number; readonly count: number };
}

export interface TreeParameters {
  readonly geometry: VerityGeometry;
  readonly salt: Uint8Array;
}

export interface TreeWalkOptions {
  readonly data: OpenArea;
  readonly tree: OpenArea;
  /** As {@link VerifyVerityOptions.twin}. */
  readonly twin?: OpenArea;
  readonly parameters: TreeParameters;
  readonly options: VerityWorkOptions & { readonly rootHash: RootHash; readonly maxBad?: number };
}

/** Blocks of the data, or of a level, where they lie in their file. */
interface Blocks {
  readonly area: BadBlock['area'];
  /** -1 for data. */
  readonly level: number;
  readonly source: LevelJob['source'];
}

/** The three steps, to be called in this order. Each throws CheckFailed when its claim does not hold. */
export class TreeWalk {
  readonly bad: BadBlock[] = [];
  badCount = 0;
  /** Once the data is checked: the first block that is another one in the twin. */
  compared: { readonly unlike: number | undefined } | undefined;
  readonly #given: TreeWalkOptions;
  readonly #geometry: VerityGeometry;
  readonly #maxBad: number;
  /** Data blocks below bad blocks of the tree. */
  readonly #unproven: BlockRange[] = [];
  #treeProven = true;

  constructor(given: TreeWalkOptions) {
    this.#given = given;
    this.#geometry = given.parameters.geometry;
    this.#maxBad = given.options.maxBad ?? 1000;
  }

  checkTop(): Held<true> {
    const { geometry, salt } = this.#given.parameters;
    const top = this.#blocks(geometry.levels.at(-1));
    const found = rootHashOf(digestOfBlock(blockHashing(geometry, salt), top.source));
    if (found === this.#given.options.rootHash) return { found, value: true };
    this.#report(top, [0], 1);
    throw new CheckFailed(found, { where: this.#whereOf(top, 0) });
  }

  async checkTree(): Promise<Held<true>> {
    const { levels, treeBlocks } = this.#geometry;
    const problems: string[] = [];
    for (const level of levels.slice(1).reverse()) {
      problems.push(...(await this.#compare(this.#blocks(levels[level.index - 1]), level)));
    }
    return this.#conclude(problems, `${treeBlocks} blocks`);
  }

  async checkData(): Promise<Held<true>> {
    const { levels, dataBlocks } = this.#geometry;
    const [lowest] = levels;
    const problems = lowest === undefined ? [] : await this.#compare(this.#blocks(undefined), lowest);
    return this.#conclude(problems, `${dataBlocks} blocks`);
  }

  #conclude(problems: readonly string[], found: string): Held<true> {
    if (problems.length > 0) throw new CheckFailed(problems.join('; '));
    if (!this.#treeProven) throw new CheckFailed('what is above is not proven, so nothing below it is');
    return { found, value: true };
  }

  /** Blocks of one level, of the data without one. */
  #blocks(level: VerityLevel | undefined): Blocks {
    const { data, tree } = this.#given;
    const { dataBlockSize, dataBlocks, hashBlockSize } = this.#geometry;
    if (level === undefined) {
      const source = { fd: data.fd, offset: data.offset, blockSize: dataBlockSize, blocks: dataBlocks };
      return { area: 'data', level: -1, source };
    }
    const offset = tree.offset + level.offset;
    const source = { fd: tree.fd, offset, blockSize: hashBlockSize, blocks: level.blocks };
    return { area: 'tree', level: level.index, source };
  }

  /** Compares blocks with the digests in `level`, the one above them; says in words what is wrong. */
  async #compare(blocks: Blocks, level: VerityLevel): Promise<string[]> {
    const { tree, twin, parameters, options } = this.#given;
    const { geometry, salt } = parameters;
    const compares = blocks.area === 'data' && twin !== undefined;
    const covered = geometry.digestsPerBlock ** (blocks.level + 1);
    const findings = await runLevel(
      {
        mode: 'verify',
        hashing: blockHashing(geometry, salt),
        layout: digestLayout(geometry),
        source: blocks.source,
        ...(compares && { twin: { fd: twin.fd, offset: twin.offset } }),
        target: { fd: tree.fd, offset: tree.offset + level.offset },
        maxFindings: this.#maxBad,
        unproven: this.#unproven.map(({ first, end }) => ({ first: first / covered, end: end / covered })),
      },
      runOptions(options, level.index === 0 ? geometry : undefined),
    );
    if (compares) this.compared = { unlike: findings.unlike[0] };
    this.#report(blocks, findings.bad, findings.badCount);
    const problems: string[] = [];
    const [first] = findings.bad;
    if (first !== undefined) {
      problems.push(`${findings.badCount} bad, the first is ${this.#whereOf(blocks, first)}`);
    }
    const [unclean] = findings.unclean;
    if (unclean !== undefined) {
      const where = this.#whereOf(this.#blocks(level), unclean);
      problems.push(`bytes beside the digests are not zero in ${where}`);
    }
    return problems;
  }

  #report(blocks: Blocks, indexes: readonly number[], count: number): void {
    const { dataBlocks, digestsPerBlock } = this.#geometry;
    const { area, level, source } = blocks;
    const covered = digestsPerBlock ** (level + 1);
    for (const index of indexes.slice(0, this.#maxBad - this.bad.length)) {
      const first = index * covered;
      const covers = { first, count: Math.min(covered, dataBlocks - first) };
      this.bad.push({ area, level, index, offset: source.offset + index * source.blockSize, covers });
      if (area === 'tree') this.#unproven.push({ first, end: first + covered });
    }
    this.badCount += count;
    if (area === 'tree' && count > 0) this.#treeProven = false;
  }

  #whereOf({ area, level, source }: Blocks, index: number): string {
    const name = area === 'data' ? 'data block' : `level ${level} block`;
    const { path } = area === 'data' ? this.#given.data : this.#given.tree;
    return `${name} ${index} (${path}, byte ${source.offset + index * source.blockSize})`;
  }
}
