/** PCR_Read and PCR_Extend (TPM 2.0 Library Part 3, sections 22.2 and 22.4). */

import type { PcrBanks, PcrSelection, TpmHash } from '@osguard/formats/tpm2';
import {
  encodePcrSelections,
  hashIds,
  readDigestList,
  readPcrSelections,
  tpmWriter,
} from '@osguard/formats/tpm2';
import { TpmError } from '../error.ts';
import type { Tpm } from '../tpm.ts';

/**
 * All selected PCRs; the TPM gives at most 8 at a time. The values of one call need not belong to one moment: a
 * quote says whether they do.
 *
 * @throws TpmError (`missing`) when the TPM has no such bank or PCR.
 */
export async function readPcrs(tpm: Tpm, selections: readonly PcrSelection[]): Promise<PcrBanks> {
  const banks: Partial<Record<TpmHash, Map<number, Uint8Array>>> = {};
  for (let left = selections.filter(({ pcrs }) => pcrs.length > 0); left.length > 0;) {
    const { given, digests } = await tpm.ask(
      'PCR_Read',
      { parameters: encodePcrSelections(left) },
      (reader) => {
        reader.u32('update counter');
        return { given: readPcrSelections(reader), digests: readDigestList(reader) };
      },
    );
    const named = given.flatMap(({ bank, pcrs }) => pcrs.map((pcr) => ({ bank, pcr })));
    const [first] = left;
    if (named.length === 0) {
      throw new TpmError('missing', `the TPM has no PCR ${first?.pcrs.join(', ')} in bank ${first?.bank}`, {
        exitCode: 1,
      });
    }
    if (named.length !== digests.length) {
      throw new TpmError('protocol', `${digests.length} values of ${named.length} PCRs`);
    }
    for (const [i, { bank, pcr }] of named.entries()) {
      const values = (banks[bank] ??= new Map());
      values.set(pcr, Uint8Array.from(digests[i] ?? []));
    }
    left = left
      .map(({ bank, pcrs }) => ({ bank, pcrs: pcrs.filter((pcr) => !(banks[bank]?.has(pcr) ?? false)) }))
      .filter(({ pcrs }) => pcrs.length > 0);
  }
  return banks;
}

/** Extends one PCR in each bank that has a digest. */
export async function extendPcr(
  tpm: Tpm,
  pcr: number,
  digests: Readonly<Partial<Record<TpmHash, Uint8Array>>>,
): Promise<void> {
  const banks = (['sha1', 'sha256', 'sha384', 'sha512'] as const).flatMap((bank) => {
    const digest = digests[bank];
    return digest === undefined ? [] : [{ bank, digest }];
  });
  const writer = tpmWriter().u32(banks.length);
  for (const { bank, digest } of banks) writer.u16(hashIds[bank]).bytes(digest);
  await tpm.run('PCR_Extend', { entities: [{ handle: pcr, auth: {} }], parameters: writer.finish() });
}
