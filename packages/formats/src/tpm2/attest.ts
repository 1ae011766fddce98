/** TPMS_ATTEST: what a TPM signs about itself and its objects (TPM 2.0 Library Part 2, section 10.12.12). */

import type { ByteReader } from '../bytes/index.ts';
import { FormatError } from '../bytes/index.ts';
import type { PcrSelection } from './pcr-selection.ts';
import { encodePcrSelections, readPcrSelections } from './pcr-selection.ts';
import { readSized, readWhole, sized, tpmWriter } from './wire.ts';

/** TPM_GENERATED_VALUE (section 6.2): a restricted key signs nothing from outside that starts with it. */
export const tpmGenerated = 0xff544347;

const certifyTag = 0x8017;
const quoteTag = 0x8018;
const creationTag = 0x801a;

/** Bytes: algorithm and the largest digest. */
const largestName = 66;
const largestDigest = 64;

/** TPMS_CLOCK_INFO (section 10.11.1). */
export interface ClockInfo {
  /** Milliseconds the TPM was powered since the last clear. */
  readonly clock: bigint;
  /** TPM resets since the last clear: the machine was started this often. */
  readonly resetCount: number;
  readonly restartCount: number;
  /** False when the clock may have gone back. */
  readonly safe: boolean;
}

interface AttestCommon {
  /** Qualified Name of the signing key. */
  readonly qualifiedSigner: Uint8Array;
  /** What the asker gave as qualifying data. */
  readonly extraData: Uint8Array;
  readonly clockInfo: ClockInfo;
  readonly firmwareVersion: bigint;
}

/** TPMS_QUOTE_INFO (section 10.12.4). */
export interface QuoteAttest extends AttestCommon {
  readonly type: 'quote';
  readonly pcrSelections: readonly PcrSelection[];
  readonly pcrDigest: Uint8Array;
}

/** TPMS_CERTIFY_INFO (section 10.12.3). */
export interface CertifyAttest extends AttestCommon {
  readonly type: 'certify';
  readonly name: Uint8Array;
  readonly qualifiedName: Uint8Array;
}

/** TPMS_CREATION_INFO (section 10.12.7). */
export interface CreationAttest extends AttestCommon {
  readonly type: 'creation';
  readonly objectName: Uint8Array;
  readonly creationHash: Uint8Array;
}

export type Attest = QuoteAttest | CertifyAttest | CreationAttest;

/**
 * @throws FormatError: `not-this-format` for another magic, `unsupported` for another kind of statement,
 * `malformed` for trailing bytes.
 */
export function parseAttest(bytes: Uint8Array): Attest {
  return readWhole(bytes, 'attestation', readAttest);
}

function readAttest(reader: ByteReader): Attest {
  const magic = reader.u32('magic');
  if (magic !== tpmGenerated) {
    throw new FormatError(
      'not-this-format',
      `the attestation starts with ${magic.toString(16).padStart(8, '0')}, not ff544347: no TPM made it`,
      { offset: 0 },
    );
  }
  const tag = reader.u16('type of attestation');
  if (tag !== quoteTag && tag !== certifyTag && tag !== creationTag) {
    throw new FormatError('unsupported', `attestation of type 0x${tag.toString(16)}`, { offset: 4 });
  }
  const common = {
    qualifiedSigner: readSized(reader, 'qualified signer', largestName),
    extraData: readSized(reader, 'extra data', largestName),
    clockInfo: readClockInfo(reader),
    firmwareVersion: reader.u64('firmware version'),
  };
  if (tag === quoteTag) {
    const pcrSelections = readPcrSelections(reader);
    const pcrDigest = readSized(reader, 'PCR digest', largestDigest);
    return { type: 'quote', ...common, pcrSelections, pcrDigest };
  }
  const first = readSized(reader, 'object name', largestName);
  if (tag === certifyTag) {
    const name = readSized(reader, 'qualified name', largestName);
    return { type: 'certify', ...common, name: first, qualifiedName: name };
  }
  const creationHash = readSized(reader, 'creation hash', largestDigest);
  return { type: 'creation', ...common, objectName: first, creationHash };
}

function readClockInfo(reader: ByteReader): ClockInfo {
  const clock = reader.u64('clock');
  const resetCount = reader.u32('reset count');
  const restartCount = reader.u32('restart count');
  const safe = reader.u8('safe');
  if (safe > 1) throw new FormatError('malformed', `safe is ${safe}`, { offset: reader.offset - 1 });
  return { clock, resetCount, restartCount, safe: safe === 1 };
}

/** For tests and for software that stands in for a TPM. */
export function encodeAttest(attest: Attest): Uint8Array {
  const tag = { quote: quoteTag, certify: certifyTag, creation: creationTag }[attest.type];
  const writer = tpmWriter()
    .u32(tpmGenerated)
    .u16(tag)
    .bytes(sized(attest.qualifiedSigner))
    .bytes(sized(attest.extraData))
    .u64(attest.clockInfo.clock)
    .u32(attest.clockInfo.resetCount)
    .u32(attest.clockInfo.restartCount)
    .u8(attest.clockInfo.safe ? 1 : 0)
    .u64(attest.firmwareVersion);
  if (attest.type === 'quote') {
    return writer.bytes(encodePcrSelections(attest.pcrSelections)).bytes(sized(attest.pcrDigest)).finish();
  }
  if (attest.type === 'certify') {
    return writer.bytes(sized(attest.name)).bytes(sized(attest.qualifiedName)).finish();
  }
  return writer.bytes(sized(attest.objectName)).bytes(sized(attest.creationHash)).finish();
}
