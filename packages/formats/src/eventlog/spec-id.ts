/** TCG_EfiSpecIdEvent (PC Client Platform Firmware Profile 1.06, section 10.4.5.1): what form the log has. */

import { ByteReader, FormatError } from '../bytes/index.ts';
import { bankOfId } from './algorithms.ts';

export interface SpecIdEvent {
  /** 0 client, 1 server. */
  readonly platformClass: number;
  /** Of the specification, for example `2.0`. */
  readonly version: string;
  readonly errata: number;
  /** Bytes of a UINTN in event data: 4 or 8. */
  readonly uintnSize: 4 | 8;
  readonly algorithms: readonly { readonly id: number; readonly size: number }[];
  readonly vendorInfo: Uint8Array;
}

const signature = Buffer.from('Spec ID Event03\0', 'latin1');
/** More banks than the registry has hash algorithms are not a log but an attack. */
const mostAlgorithms = 16;
/** 1 and 2 by the specification, in 32-bit words; some firmware writes the bytes. */
const uintnSizes = new Map<number, 4 | 8>([
  [1, 4],
  [2, 8],
  [4, 4],
  [8, 8],
]);

export function hasSpecIdSignature(data: Uint8Array): boolean {
  return data.length >= signature.length && Buffer.compare(data.subarray(0, 16), signature) === 0;
}

export interface ParseSpecIdOptions {
  /** Offset of the data in the log, for errors. Bytes. */
  readonly base?: number;
  /** Where the log goes on: some firmware leaves the vendor info out of the event's size. */
  readonly behind?: ByteReader;
}

/** @throws FormatError */
export function parseSpecId(data: Uint8Array, options: ParseSpecIdOptions = {}): SpecIdEvent {
  const { base = 0 } = options;
  const reader = new ByteReader(data, { base });
  if (!hasSpecIdSignature(data)) {
    throw new FormatError('not-this-format', 'no "Spec ID Event03"', { offset: base });
  }
  reader.skip(signature.length, 'signature');
  const platformClass = reader.u32('platform class');
  const minor = reader.u8('minor version');
  const major = reader.u8('major version');
  const errata = reader.u8('errata');
  const at = reader.offset;
  const uintn = reader.u8('size of UINTN');
  const uintnSize = uintnSizes.get(uintn);
  if (uintnSize === undefined) throw malformed(`size of UINTN ${uintn}`, at);
  const algorithms = parseAlgorithms(reader);
  const vendorInfoSize = reader.u8('vendor info size');
  const from = reader.remaining === 0 ? (options.behind ?? reader) : reader;
  const vendorInfo = from.bytes(vendorInfoSize, 'vendor info');
  reader.end('Spec ID event');
  return { platformClass, version: `${major}.${minor}`, errata, uintnSize, algorithms, vendorInfo };
}

function parseAlgorithms(reader: ByteReader): SpecIdEvent['algorithms'] {
  const count = reader.u32('number of algorithms');
  if (count === 0 || count > mostAlgorithms) throw malformed(`${count} algorithms`, reader.offset - 4);
  const algorithms: { readonly id: number; readonly size: number }[] = [];
  for (let i = 0; i < count; i += 1) {
    const at = reader.offset;
    const id = reader.u16('algorithm');
    const size = reader.u16('digest size');
    if (algorithms.some((other) => other.id === id)) {
      throw malformed(`algorithm 0x${id.toString(16)} twice`, at);
    }
    const known = bankOfId(id);
    if (known !== undefined && known.size !== size) {
      throw malformed(`${known.bank} digests of ${size} bytes`, at + 2);
    }
    algorithms.push({ id, size });
  }
  return algorithms;
}

function malformed(why: string, offset: number): FormatError {
  return new FormatError('malformed', `Spec ID event: ${why}`, { offset });
}
