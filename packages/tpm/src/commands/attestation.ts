/** Quote, Certify, ActivateCredential, VerifySignature (TPM 2.0 Library Part 3, sections 12.5, 18.2, 18.4, 20.1). */

import type { Attest, PcrSelection, TpmSignature } from '@osguard/formats/tpm2';
import {
  encodePcrSelections,
  encodeTpmSignature,
  parseAttest,
  readSized,
  readTpmSignature,
  sized,
  tpmAlg,
  tpmWriter,
} from '@osguard/formats/tpm2';
import type { CommandName } from '@osguard/formats/tpm2';
import type { Call, Entity, Tpm } from '../tpm.ts';

export interface Attestation {
  /** TPMS_ATTEST, the bytes that are signed. */
  readonly message: Uint8Array;
  readonly attest: Attest;
  readonly signature: TpmSignature;
  /** TPMT_SIGNATURE. */
  readonly signatureBytes: Uint8Array;
}

/** Signs the selected PCRs with a key that is bound to its scheme. */
export async function quotePcrs(
  tpm: Tpm,
  key: Entity,
  options: { readonly selections: readonly PcrSelection[]; readonly qualifyingData: Uint8Array },
): Promise<Attestation> {
  return attest(tpm, 'Quote', {
    entities: [{ auth: {}, ...key }],
    parameters: tpmWriter()
      .bytes(sized(options.qualifyingData))
      .u16(tpmAlg.null)
      .bytes(encodePcrSelections(options.selections))
      .finish(),
  });
}

/** Signs that an object is loaded in this TPM. */
export async function certify(
  tpm: Tpm,
  object: Entity,
  options: { readonly key: Entity; readonly qualifyingData: Uint8Array },
): Promise<Attestation> {
  return attest(tpm, 'Certify', {
    entities: [
      { auth: {}, ...object },
      { auth: {}, ...options.key },
    ],
    parameters: tpmWriter().bytes(sized(options.qualifyingData)).u16(tpmAlg.null).finish(),
  });
}

async function attest(tpm: Tpm, command: CommandName, call: Call): Promise<Attestation> {
  return tpm.ask(command, call, (reader) => {
    const message = Uint8Array.from(readSized(reader, 'attestation', 1024));
    const signature = readTpmSignature(reader);
    return {
      message,
      attest: parseAttest(message),
      signature,
      signatureBytes: encodeTpmSignature(signature),
    };
  });
}

/** Both with their size, as `makeCredential` gives them. */
export interface CredentialInput {
  readonly credential: Uint8Array;
  readonly secret: Uint8Array;
}

/** The secret of a credential that was made for `object` and for the endorsement key `ek` of this TPM. */
export async function activateCredential(
  tpm: Tpm,
  input: CredentialInput,
  entities: { readonly object: Entity; readonly ek: Entity },
): Promise<Uint8Array> {
  const call = {
    entities: [
      { auth: {}, ...entities.object },
      { auth: {}, ...entities.ek },
    ],
    parameters: Buffer.concat([input.credential, input.secret]),
  };
  return tpm.ask('ActivateCredential', call, (reader) =>
    Uint8Array.from(readSized(reader, 'credential secret', 64)),
  );
}

/** TPMT_TK_VERIFIED (Part 2, section 10.7.4): the TPM's own note that it checked a signature. */
export async function verifySignature(
  tpm: Tpm,
  key: Entity,
  claim: { readonly digest: Uint8Array; readonly signature: TpmSignature },
): Promise<Uint8Array> {
  const parameters = Buffer.concat([sized(claim.digest), encodeTpmSignature(claim.signature)]);
  return tpm.ask('VerifySignature', { entities: [key], parameters }, (reader) =>
    Uint8Array.from(reader.rest()),
  );
}
