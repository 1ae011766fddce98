/** Policy digests computed as a TPM extends them (TPM 2.0 Library Part 1, section 19.7; Part 3, section 23). */

import { digestWith, hashSizes } from './algorithms.ts';
import type { TpmHash } from './algorithms.ts';
import { commandCodes } from './command-codes.ts';
import type { CommandName } from './command-codes.ts';
import type { PcrSelection } from './pcr-selection.ts';
import { encodePcrSelections } from './pcr-selection.ts';
import { tpmWriter } from './wire.ts';

/** The digest of a fresh policy session. */
export function emptyPolicy(hash: TpmHash): Uint8Array {
  return new Uint8Array(hashSizes[hash]);
}

export interface PolicyDigestOptions {
  readonly hash: TpmHash;
  /** The digest to extend; that of a fresh session unless given. */
  readonly from?: Uint8Array;
}

const none = new Uint8Array(0);

function extend(command: CommandName, data: readonly Uint8Array[], options: PolicyDigestOptions): Uint8Array {
  const { hash, from = emptyPolicy(hash) } = options;
  const code = tpmWriter().u32(commandCodes[command]).finish();
  return digestWith(hash, from, code, ...data);
}

/** PolicySecret (Part 3, section 23.4): whoever knows the authorization value of the entity with this Name. */
export function policySecretDigest(
  entityName: Uint8Array,
  options: PolicyDigestOptions & { readonly policyRef?: Uint8Array },
): Uint8Array {
  const first = extend('PolicySecret', [entityName], options);
  return digestWith(options.hash, first, options.policyRef ?? none);
}

/** PolicyPCR (Part 3, section 23.7): while the selected PCRs have the values whose digest is given. */
export function policyPcrDigest(
  selections: readonly PcrSelection[],
  pcrDigest: Uint8Array,
  options: PolicyDigestOptions,
): Uint8Array {
  return extend('PolicyPCR', [encodePcrSelections(selections), pcrDigest], options);
}

/** PolicyAuthorize (Part 3, section 23.16): any policy this key signed. What the session had before is replaced. */
export function policyAuthorizeDigest(
  keyName: Uint8Array,
  options: { readonly hash: TpmHash; readonly policyRef?: Uint8Array },
): Uint8Array {
  const first = extend('PolicyAuthorize', [keyName], { hash: options.hash });
  return digestWith(options.hash, first, options.policyRef ?? none);
}

/** PolicyAuthValue (Part 3, section 23.17): the object's own authorization value, proven by HMAC. */
export function policyAuthValueDigest(options: PolicyDigestOptions): Uint8Array {
  return extend('PolicyAuthValue', [], options);
}

/** PolicyOR (Part 3, section 23.6): one of 2 to 8 policies. What the session had before is replaced. */
export function policyOrDigest(policies: readonly Uint8Array[], hash: TpmHash): Uint8Array {
  return extend('PolicyOR', policies, { hash });
}
