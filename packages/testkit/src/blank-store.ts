/** A blank variable store as OVMF's build makes it, for tests on machines without the package ovmf. */

import { ByteWriter, encodeGuid } from '@osguard/formats/bytes';

/** `size` bytes: volume header, store header, erased flash; the last quarter stands for the write areas. */
export function blankVariableStore(size: number): Uint8Array<ArrayBuffer> {
  const storeSize = (size / 4) * 3 - 72;
  const header = new ByteWriter()
    .zeros(16)
    .bytes(encodeGuid('fff12b8d-7696-4c8b-a985-2747075b4f50'))
    .u64(size)
    .bytes(Buffer.from('_FVH', 'ascii'))
    .u32(0x0004_feff)
    .u16(72)
    .u16(0)
    .u16(0)
    .u8(0)
    .u8(2)
    .u32(size / 4096)
    .u32(4096)
    .zeros(8)
    .finish();
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  let sum = 0;
  for (let at = 0; at < header.length; at += 2) sum += view.getUint16(at, true);
  view.setUint16(50, -sum & 0xffff, true);
  const store = new ByteWriter()
    .bytes(encodeGuid('aaf32c78-947b-439a-a180-2e144ec37792'))
    .u32(storeSize)
    .u8(0x5a)
    .u8(0xfe)
    .zeros(6)
    .finish();
  const bytes = new Uint8Array(size).fill(0xff);
  bytes.set(header);
  bytes.set(store, header.length);
  bytes.fill(0x11, (size / 4) * 3);
  return bytes;
}
