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
  | 'digest'
  /** A reference, option or file on the command line or in a configuration is not what it has to be. */
  | 'input'
  /** No such tag, manifest, blob or file. */
  | 'not-found'
  /** A registry wants credentials, and there are none or they are wrong. */
  | 'unauthorized'
  /** A registry knows who asks and says no. */
  | 'denied'
  /** A registry cannot be reached: name, network, TLS. */
  | 'unreachable'
  /** What was asked would send content or credentials over a connection anybody could change. */
  | 'insecure'
  /** A registry, or the files of a layout or an archive, break the rules of their format. */
  | 'registry'
  /** This place can only be read from. */
  | 'read-only'
  /** A credential helper failed. */
  | 'credential-helper';

export class LayerError extends OsguardError<LayerErrorCode> {
  override readonly name = 'LayerError';

  constructor(code: LayerErrorCode, message: string, options: OsguardErrorOptions = {}) {
    super(code, message, options);
  }
}
