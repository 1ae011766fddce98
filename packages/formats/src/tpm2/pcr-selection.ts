/** TPML_PCR_SELECTION and the digest over selected PCRs (TPM 2.0 Library Part 2, sections 10.6 and 10.9.7). */

import type { ByteReader } from '../bytes/index.ts';
import { FormatError } from '../bytes/index.ts';
import { digestWith, hashIds, hashOfId, hashSizes } from './algorithms.ts';
import type { TpmHash } from './algorithms.ts';
import { readWhole, tpmWriter } from './wire.ts';

/** TPMS_PCR_SELECTION: some PCRs of one bank. */
export interface PcrSelection {
  readonly bank: TpmHash;
  /** Ascending PCR indices, each once; may be empty. */
  readonly pcrs: readonly number[];
  /** Bytes of the bitmap; 3 unless told otherwise, as the PC Client profile has 24 PCRs. */
  readonly bitmapSize?: number;
}

/** Values of PCRs by bank and index. */
export type PcrBanks = Readonly<Partial<Record<TpmHash, ReadonlyMap<number, Uint8Array>>>>;

/** HASH_COUNT of the reference implementation: a list cannot have more banks. */
const mostBanks = 16;
const largestBitmap = 4;

/** @throws FormatError unless `bytes` is exactly one selection list. */
export function parsePcrSelections(bytes: Uint8Array): PcrSelection[] {
  return readWhole(bytes, 'PCR selection list', readPcrSelections);
}

export function readPcrSelections(reader: ByteReader): PcrSelection[] {
  const at = reader.offset;
  const count = reader.u32('count of PCR selections');
  if (count > mostBanks) {
    throw new FormatError('too-large', `${count} PCR selections; at most ${mostBanks}`, { offset: at });
  }
  return Array.from({ length: count }, () => readPcrSelection(reader));
}

function readPcrSelection(reader: ByteReader): PcrSelection {
  const bank = hashOfId(reader.u16('bank'), reader.offset - 2);
  const at = reader.offset;
  const bitmapSize = reader.u8('size of the PCR bitmap');
  if (bitmapSize > largestBitmap) {
    throw new FormatError('too-large', `PCR bitmap of ${bitmapSize} bytes`, { offset: at });
  }
  const pcrs: number[] = [];
  for (let first = 0; first < 8 * bitmapSize; first += 8) {
    const byte = reader.u8('PCR bitmap');
    for (let bit = 0; bit < 8; bit += 1) if ((byte & (1 << bit)) !== 0) pcrs.push(first + bit);
  }
  return bitmapSize === 3 ? { bank, pcrs } : { bank, pcrs, bitmapSize };
}

/** @throws FormatError (`not-encodable`) when a PCR does not fit the bitmap. */
export function encodePcrSelections(selections: readonly PcrSelection[]): Uint8Array {
  const writer = tpmWriter().u32(selections.length);
  for (const { bank, pcrs, bitmapSize = 3 } of selections) {
    const bitmap = new Uint8Array(bitmapSize);
    for (const pcr of pcrs) {
      if (!Number.isInteger(pcr) || pcr < 0 || pcr >= bitmapSize * 8) {
        throw new FormatError('not-encodable', `PCR ${pcr} is outside a bitmap of ${bitmapSize} bytes`);
      }
      bitmap[pcr >> 3] = (bitmap[pcr >> 3] ?? 0) | (1 << (pcr & 7));
    }
    writer.u16(hashIds[bank]).u8(bitmapSize).bytes(bitmap);
  }
  return writer.finish();
}

/**
 * Digest of the selected PCR values, in the order of the selection and ascending within a bank (Part 3, sections
 * 18.4 and 23.7). The hash of a quote is that of its signature scheme; of PolicyPCR, that of the policy session.
 *
 * @throws FormatError (`malformed`) when a selected value is missing or has another size than its bank's digests.
 */
export function pcrSelectionDigest(
  selections: readonly PcrSelection[],
  values: PcrBanks,
  hash: TpmHash,
): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const { bank, pcrs } of selections) {
    for (const pcr of pcrs.toSorted((a, b) => a - b)) {
      const value = values[bank]?.get(pcr);
      if (value?.length !== hashSizes[bank]) {
        throw new FormatError(
          'malformed',
          value === undefined
            ? `PCR ${pcr} of bank ${bank} is selected but has no value`
            : `PCR ${pcr} of bank ${bank} has ${value.length} bytes, not ${hashSizes[bank]}`,
        );
      }
      parts.push(value);
    }
  }
  return digestWith(hash, ...parts);
}
