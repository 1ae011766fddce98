/** What an archive may cost, so that a small hostile one ends with an error and not with this process. */

import { LayerError } from '../error.ts';
import type { LayerLimits } from './types.ts';

const defaults: LayerLimits = { maxTarSize: 64 * 2 ** 30, maxMetadata: 2 ** 30 };

/** Of one name or inode in memory, from its entry until it is written: measured with 64-bit pointers. Bytes. */
const nodeCost = 512;

export class Budget {
  readonly #limits: LayerLimits;
  #tarSize = 0;
  #metadata = 0;

  constructor(limits: Partial<LayerLimits> = {}) {
    this.#limits = { ...defaults, ...limits };
  }

  /** Bytes of the tar so far. */
  get tarSize(): number {
    return this.#tarSize;
  }

  /** @throws LayerError `layer-too-large` */
  read(bytes: number): void {
    this.#tarSize += bytes;
    const { maxTarSize } = this.#limits;
    if (this.#tarSize > maxTarSize) throw tooLarge(`its tar is larger than ${maxTarSize} bytes`);
  }

  /** Accounts for one node and the bytes kept beside it. @throws LayerError `layer-too-large` */
  node(bytes: number): void {
    this.#metadata += nodeCost + bytes;
    const { maxMetadata } = this.#limits;
    if (this.#metadata > maxMetadata) {
      throw tooLarge(`names, links and attributes would take more than ${maxMetadata} bytes of memory`);
    }
  }
}

function tooLarge(why: string): LayerError {
  return new LayerError('layer-too-large', `this layer is refused: ${why}`, {
    hint: 'if the layer is really meant to be that large, raise the limit',
  });
}
