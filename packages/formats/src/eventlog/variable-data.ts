/** UEFI_VARIABLE_DATA (Firmware Profile 1.06, section 10.2.6) as firmware hashes it. */

import { ByteWriter, encodeGuid } from '../bytes/index.ts';

export interface MeasuredVariable {
  /** Vendor GUID. */
  readonly vendor: string;
  readonly name: string;
  readonly value: Uint8Array;
}

/** GUID, length of the name in characters, size of the value, the name without NUL, the value. */
export function encodeVariableData({ vendor, name, value }: MeasuredVariable): Uint8Array<ArrayBuffer> {
  return new ByteWriter()
    .bytes(encodeGuid(vendor))
    .u64(name.length)
    .u64(value.length)
    .bytes(Buffer.from(name, 'utf16le'))
    .bytes(value)
    .finish();
}
