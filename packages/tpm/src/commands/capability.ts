/** GetCapability: what this TPM is and has (TPM 2.0 Library Part 3, section 30.2; Part 2, section 6.12). */

import type { ByteReader } from '@osguard/formats/bytes';
import type { PcrSelection } from '@osguard/formats/tpm2';
import { handleRange, readPcrSelections, tpmWriter } from '@osguard/formats/tpm2';
import { TpmError } from '../error.ts';
import type { Tpm } from '../tpm.ts';

/** TPM_CAP. */
const capabilities = { handles: 1, pcrs: 5, properties: 6 } as const;
/** TPM_PT_FIXED (Part 2, section 6.13): 0x100 and above. */
const fixedProperties = { manufacturer: 0x105, firmware1: 0x10b, firmware2: 0x10c } as const;
const most = 1024;

interface Page<T> {
  readonly more: boolean;
  readonly values: readonly T[];
}

async function page<T>(
  tpm: Tpm,
  request: { readonly capability: number; readonly property: number; readonly count: number },
  read: (reader: ByteReader) => T[],
): Promise<Page<T>> {
  const { capability, property, count } = request;
  const parameters = tpmWriter().u32(capability).u32(property).u32(count).finish();
  return tpm.ask('GetCapability', { parameters }, (reader) => {
    const more = reader.u8('more data') !== 0;
    const told = reader.u32('capability');
    if (told !== capability) throw new TpmError('protocol', `capability ${told}, asked for ${capability}`);
    return { more, values: read(reader) };
  });
}

/** The handles in use of one kind. */
export async function listHandles(tpm: Tpm, kind: keyof typeof handleRange): Promise<number[]> {
  const handles: number[] = [];
  const range = handleRange[kind];
  for (let next = range; ;) {
    const request = { capability: capabilities.handles, property: next, count: 64 };
    const { more, values } = await page(tpm, request, (reader) =>
      Array.from({ length: counted(reader) }, () => reader.u32('handle')),
    );
    handles.push(...values);
    const last = values.at(-1);
    if (!more || last === undefined || last < next || handles.length > most) break;
    next = last + 1;
  }
  return handles.filter((handle) => handle >>> 24 === range >>> 24);
}

/** The PCRs of each bank that is on. */
export async function listPcrBanks(tpm: Tpm): Promise<PcrSelection[]> {
  const request = { capability: capabilities.pcrs, property: 0, count: 16 };
  const { values } = await page(tpm, request, readPcrSelections);
  return values.filter(({ pcrs }) => pcrs.length > 0);
}

export interface TpmIdentity {
  /** Vendor, as its registered four characters. */
  readonly manufacturer: string;
  readonly firmwareVersion: bigint;
}

export async function identify(tpm: Tpm): Promise<TpmIdentity> {
  const request = { capability: capabilities.properties, property: 0x100, count: 64 };
  const { values } = await page(tpm, request, (reader) =>
    Array.from({ length: counted(reader) }, () => [reader.u32('property'), reader.u32('value')] as const),
  );
  const properties = new Map(values);
  const vendor = tpmWriter()
    .u32(properties.get(fixedProperties.manufacturer) ?? 0)
    .finish();
  return {
    manufacturer: Buffer.from(vendor)
      .toString('latin1')
      .replaceAll(/[^ -~]+$/g, '')
      .trim(),
    firmwareVersion:
      (BigInt(properties.get(fixedProperties.firmware1) ?? 0) << 32n) |
      BigInt(properties.get(fixedProperties.firmware2) ?? 0),
  };
}

function counted(reader: ByteReader): number {
  const count = reader.u32('count');
  if (count > most) throw new TpmError('protocol', `${count} entries of a capability`);
  return count;
}
