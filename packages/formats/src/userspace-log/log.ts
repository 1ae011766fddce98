/**
 * /run/log/systemd/tpm2-measure.log: records as a JSON text sequence (RFC 7464), each RS, JSON, LF. Written by
 * systemd-pcrextend, systemd-cryptsetup and others after the kernel took over; firmware's log ends before.
 */

import { FormatError, toHex } from '../bytes/index.ts';
import type { ExtendedPcrsOptions, PcrBank } from '../eventlog/index.ts';
import { ExtendedPcrs } from '../eventlog/index.ts';
import type { UserspaceRecord } from './record.ts';
import { parseRecord } from './record.ts';

/** Bytes of a log, records in it, bytes of a record. */
export const userspaceLogLimits = { size: 1_048_576, records: 4096, record: 65_536 } as const;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const recordSeparator = 0x1e;
const lineFeed = 0x0a;

export interface ParseUserspaceOptions {
  /** Keeps the digests of this bank only; those of others have to have their form all the same. */
  readonly only?: PcrBank;
}

/** Empty for an empty log. @throws FormatError with the offset of the record that is wrong */
export function parseUserspaceLog(
  bytes: Uint8Array,
  { only }: ParseUserspaceOptions = {},
): readonly UserspaceRecord[] {
  const { size, records: most, record: longest } = userspaceLogLimits;
  if (bytes.length > size) {
    throw new FormatError('too-large', `userspace log: ${bytes.length} bytes, more than ${size}`);
  }
  const records: UserspaceRecord[] = [];
  for (let offset = 0; offset < bytes.length;) {
    const index = records.length;
    const wrong = (code: 'malformed' | 'truncated' | 'too-large', why: string): FormatError =>
      new FormatError(code, `userspace log, record ${index}: ${why}`, { offset });
    if (index >= most) throw wrong('too-large', `more than ${most} records`);
    if (bytes[offset] !== recordSeparator) throw wrong('malformed', 'does not start with RS (0x1e)');
    const next = bytes.indexOf(recordSeparator, offset + 1);
    const end = next === -1 ? bytes.length : next;
    if (end - offset > longest) throw wrong('too-large', `${end - offset} bytes, more than ${longest}`);
    if (bytes[end - 1] !== lineFeed) throw wrong('truncated', 'does not end with LF');
    records.push(parseRecord(decode(bytes.subarray(offset + 1, end - 1), offset), { index, offset, only }));
    offset = end;
  }
  return records;
}

/**
 * PCR → value, lower-case hex, of every PCR the records extend, from where firmware left it in `start` (zeros for
 * those it did not extend).
 *
 * @throws FormatError when a record has no digest of this bank
 */
export function replayUserspace(
  records: readonly UserspaceRecord[],
  bank: PcrBank,
  options: Pick<ExtendedPcrsOptions, 'start'> = {},
): Map<number, string> {
  const pcrs = new ExtendedPcrs(bank, options);
  for (const { index, offset, pcr, digests } of records) {
    const digest = digests[bank];
    if (digest === undefined) {
      const message = `userspace log, record ${index}: no ${bank} digest`;
      throw new FormatError('malformed', message, { offset });
    }
    pcrs.extend(pcr, digest);
  }
  return pcrs.extended();
}

/** The log of these records, as systemd writes it. */
export function encodeUserspaceLog(records: readonly EncodableRecord[]): Uint8Array<ArrayBuffer> {
  const texts = records.map(({ pcr, digests, eventType, text, bootId }) => {
    const listed = Object.entries(digests).map(([hashAlg, digest]) => ({ hashAlg, digest: toHex(digest) }));
    const content = { string: text, bootId, eventType };
    return `\x1e${JSON.stringify({ pcr, digests: listed, content_type: 'systemd', content })}\n`;
  });
  return new Uint8Array(Buffer.from(texts.join(''), 'utf8'));
}

export type EncodableRecord = Pick<UserspaceRecord, 'pcr' | 'digests' | 'eventType' | 'text' | 'bootId'>;

function decode(bytes: Uint8Array, offset: number): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new FormatError('malformed', 'userspace log: not UTF-8', { offset, cause });
  }
}
