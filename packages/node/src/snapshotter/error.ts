/** Why the snapshotter refuses. The text reaches whoever typed `ctr run` or reads the events of a pod. */

import { Code, ConnectError } from '@connectrpc/connect';
import type { OsguardErrorOptions } from '@osguard/events';
import { OsguardError } from '@osguard/events';

export type SnapshotterErrorCode =
  /** No such snapshot. */
  | 'not-found'
  /** A snapshot of this key or name is there already. */
  | 'already-exists'
  /** The request contradicts what is there: the parent is not committed, the snapshot has children. */
  | 'precondition'
  /** The request itself is wrong. */
  | 'bad-request'
  /** Somebody else's work; containerd then asks the next in line. */
  | 'not-implemented'
  /** No signature of a layer was found. */
  | 'layer-unsigned'
  /** What was found does not belong to this layer. */
  | 'layer-mismatch'
  /** The signer or the root hash of a layer was revoked. */
  | 'layer-revoked'
  /** The kernel did not open the volume: wrong signature, unknown signer, changed bytes. */
  | 'layer-refused'
  /** A block of a stored layer is not what was signed. */
  | 'layer-damaged'
  /** Neither registry nor content store gave the layer. */
  | 'layer-unavailable'
  /** /var is full. */
  | 'disk-full';

const codes: Readonly<Record<SnapshotterErrorCode, Code>> = {
  'not-found': Code.NotFound,
  'already-exists': Code.AlreadyExists,
  precondition: Code.FailedPrecondition,
  'bad-request': Code.InvalidArgument,
  'not-implemented': Code.Unimplemented,
  'layer-unsigned': Code.FailedPrecondition,
  'layer-mismatch': Code.FailedPrecondition,
  'layer-revoked': Code.FailedPrecondition,
  'layer-refused': Code.FailedPrecondition,
  'layer-damaged': Code.FailedPrecondition,
  'layer-unavailable': Code.Unavailable,
  'disk-full': Code.ResourceExhausted,
};

export class SnapshotterError extends OsguardError<SnapshotterErrorCode> {
  override readonly name = 'SnapshotterError';

  constructor(code: SnapshotterErrorCode, message: string, options: OsguardErrorOptions = {}) {
    super(code, message, options);
  }
}

/** As containerd's client understands it: the gRPC status decides what it does, the text is what people see. */
export function toConnectError(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  if (error instanceof SnapshotterError) {
    const hint = error.hint === undefined ? '' : ` (${error.hint})`;
    return new ConnectError(`osguard: ${error.message}${hint}`, codes[error.code]);
  }
  const text = error instanceof Error ? error.message : String(error);
  if (!isDiskFull(error)) return new ConnectError(`osguard: ${text}`, Code.Internal);
  return new ConnectError(
    `osguard: no space left on the disk of /var/lib/osguard: ${text}`,
    Code.ResourceExhausted,
  );
}

/** SQLITE_FULL (sqlite.org/rescode.html). */
const sqliteFull = 13;

/** Also when it is only the cause of what was thrown. */
export function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if ('code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')) return true;
  if ('errcode' in error && error.errcode === sqliteFull) return true;
  return isDiskFull(error.cause);
}
