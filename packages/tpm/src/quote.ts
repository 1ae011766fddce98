/** The attestation key and what it says: the PCRs as they are now, together with their values. */

import { equalBytes } from '@osguard/formats/bytes';
import type { PcrBanks, PcrSelection } from '@osguard/formats/tpm2';
import { akTemplateP256, pcrSelectionDigest } from '@osguard/formats/tpm2';
import type { Authorization } from './authorization.ts';
import type { Attestation } from './commands/attestation.ts';
import { quotePcrs } from './commands/attestation.ts';
import type { LoadedObject } from './commands/objects.ts';
import { createPrimary } from './commands/objects.ts';
import { readPcrs } from './commands/pcrs.ts';
import { TpmError } from './error.ts';
import type { Entity, Tpm } from './tpm.ts';

/**
 * The attestation key, made again from its template in the owner hierarchy: the same one until the TPM is cleared,
 * with nothing to store. Free it with `flushContext`.
 */
export async function attestationKey(
  tpm: Tpm,
  options: { readonly owner?: Authorization } = {},
): Promise<LoadedObject> {
  const { owner = {} } = options;
  return createPrimary(tpm, { hierarchy: 'owner', template: akTemplateP256, auth: owner });
}

export interface QuoteOptions {
  readonly key: Entity;
  readonly pcrs: readonly PcrSelection[];
  /** At most 64 bytes. */
  readonly qualifyingData: Uint8Array;
}

export interface Quote extends Attestation {
  /** The values whose digest was signed. */
  readonly values: PcrBanks;
}

/** Services may extend PCRs while they are read; a handful of times in a row is not by accident. */
const mostAttempts = 8;

/**
 * A quote and the PCR values it speaks of.
 *
 * @throws TpmError (`unstable`) when PCRs changed between reading and quoting every time it was tried.
 */
export async function quote(tpm: Tpm, options: QuoteOptions): Promise<Quote> {
  const { key, pcrs, qualifyingData } = options;
  for (let attempt = 0; attempt < mostAttempts; attempt += 1) {
    const values = await readPcrs(tpm, pcrs);
    const signed = await quotePcrs(tpm, key, { selections: pcrs, qualifyingData });
    const { attest, signature } = signed;
    if (attest.type !== 'quote') throw new TpmError('protocol', `Quote answered with ${attest.type}`);
    const digest = pcrSelectionDigest(attest.pcrSelections, values, signature.hash);
    if (equalBytes(digest, attest.pcrDigest)) return { ...signed, values };
  }
  throw new TpmError('unstable', `PCRs changed during each of ${mostAttempts} quotes`, {
    exitCode: 1,
    hint: 'try again; if it stays so, something extends PCRs all the time',
  });
}
