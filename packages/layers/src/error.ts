/** What can go wrong between an image in a registry and a verity image whose root hash is signed. */

import type { OsguardErrorOptions } from '@osguard/events';
import { OsguardError } from '@osguard/events';

export type LayerErrorCode =
  /** A layer's archive cannot become an image: what is wrong and at which byte of the tar stream is in the message. */
  | 'layer-format'
  /** A layer is larger than the limits that were set, or has more in it. */
  | 'layer-too-large'
  /** A media type nobody here can read, for example an encrypted layer. */
  | 'media-type'
  /** What came is not what its digest, diff ID or root hash says. */
  | 'digest';

export class LayerError extends OsguardError<LayerErrorCode> {
  override readonly name = 'LayerError';

  constructor(code: LayerErrorCode, message: string, options: OsguardErrorOptions = {}) {
    super(code, message, options);
  }
}
