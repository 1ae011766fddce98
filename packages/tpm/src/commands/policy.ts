/** Policy commands (TPM 2.0 Library Part 3, section 23): each says one condition of a policy session. */

import type { PcrSelection } from '@osguard/formats/tpm2';
import {
  commandCodes,
  encodeDigestList,
  encodePcrSelections,
  readSized,
  sized,
  tpmWriter,
} from '@osguard/formats/tpm2';
import type { CommandName } from '@osguard/formats/tpm2';
import type { Session } from '../authorization.ts';
import type { Entity, Tpm } from '../tpm.ts';

const none = new Uint8Array(0);

/** Who knows the authorization value of `entity`. */
export async function policySecret(
  tpm: Tpm,
  session: Session,
  options: { readonly entity: Entity; readonly policyRef?: Uint8Array },
): Promise<void> {
  // Bound to this session's nonce; no digest of one command, and no expiry.
  const parameters = tpmWriter()
    .bytes(sized(session.nonceTpm))
    .bytes(sized(none))
    .bytes(sized(options.policyRef ?? none))
    .u32(0)
    .finish();
  const entities = [{ auth: {}, ...options.entity }, { handle: session.handle }];
  await tpm.run('PolicySecret', { entities, parameters });
}

/** While the selected PCRs have the values whose digest is given; the present values when left out. */
export async function policyPcr(
  tpm: Tpm,
  session: Session,
  options: { readonly selections: readonly PcrSelection[]; readonly digest?: Uint8Array },
): Promise<void> {
  const parameters = Buffer.concat([sized(options.digest ?? none), encodePcrSelections(options.selections)]);
  await tpm.run('PolicyPCR', { entities: [{ handle: session.handle }], parameters });
}

/** The session's policy is one that the key with this Name approved; the ticket comes from `verifySignature`. */
export async function policyAuthorize(
  tpm: Tpm,
  session: Session,
  approval: {
    readonly policy: Uint8Array;
    readonly policyRef?: Uint8Array;
    readonly keyName: Uint8Array;
    readonly ticket: Uint8Array;
  },
): Promise<void> {
  const parameters = Buffer.concat([
    sized(approval.policy),
    sized(approval.policyRef ?? none),
    sized(approval.keyName),
    approval.ticket,
  ]);
  await tpm.run('PolicyAuthorize', { entities: [{ handle: session.handle }], parameters });
}

/** Whoever uses the session proves to know the object's authorization value. */
export async function policyAuthValue(tpm: Tpm, session: Session): Promise<void> {
  await tpm.run('PolicyAuthValue', { entities: [{ handle: session.handle }] });
  session.needsAuthValue = true;
}

/** One of 2 to 8 policies, of which the session's present one must be one. */
export async function policyOr(tpm: Tpm, session: Session, policies: readonly Uint8Array[]): Promise<void> {
  const parameters = encodeDigestList(policies);
  await tpm.run('PolicyOR', { entities: [{ handle: session.handle }], parameters });
}

/** For one command only. */
export async function policyCommandCode(tpm: Tpm, session: Session, command: CommandName): Promise<void> {
  const parameters = tpmWriter().u32(commandCodes[command]).finish();
  await tpm.run('PolicyCommandCode', { entities: [{ handle: session.handle }], parameters });
}

export async function policyGetDigest(tpm: Tpm, session: Session): Promise<Uint8Array> {
  const call = { entities: [{ handle: session.handle }] };
  return tpm.ask('PolicyGetDigest', call, (reader) =>
    Uint8Array.from(readSized(reader, 'policy digest', 64)),
  );
}
