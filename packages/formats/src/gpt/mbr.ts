/** Protective MBR (UEFI 2.10 §5.2.3): tells tools that know nothing of GPT that the whole disk is taken. */

import { ByteReader, ByteWriter, FormatError } from '../bytes/index.ts';

const protectiveType = 0xee;
const recordsAt = 446;
const bootSignature = 0xaa55;

/** @returns 512 bytes. @param sectors of the whole disk. */
export function encodeProtectiveMbr(sectors: number): Uint8Array<ArrayBuffer> {
  return (
    new ByteWriter({ capacity: 512 })
      .zeros(recordsAt)
      // Not bootable; starts at CHS 0/0/2, which is LBA 1; the end is beyond what CHS can express.
      .bytes(Uint8Array.of(0x00, 0x00, 0x02, 0x00, protectiveType, 0xff, 0xff, 0xff))
      .u32(1)
      .u32(Math.min(sectors - 1, 0xffff_ffff))
      .zeros(3 * 16)
      .u16(bootSignature)
      .finish()
  );
}

/**
 * @returns remarks on records that firmware tolerates: a hybrid MBR, a size that does not fit the disk.
 * @throws FormatError (`not-this-format`) when firmware and kernel would not look for a GPT behind it.
 */
export function checkProtectiveMbr(block: Uint8Array, sectors: number): readonly string[] {
  const reader = new ByteReader(block);
  reader.skip(recordsAt, 'boot code');
  const types: number[] = [];
  let protectiveSectors: number | undefined;
  for (let i = 0; i < 4; i += 1) {
    reader.skip(4, 'boot indicator and first CHS');
    const type = reader.u8('OS type');
    reader.skip(3, 'last CHS');
    const start = reader.u32('StartingLBA');
    const size = reader.u32('SizeInLBA');
    if (type !== 0) types.push(type);
    if (type === protectiveType && start === 1) protectiveSectors ??= size;
  }
  if (reader.u16('boot signature') !== bootSignature) {
    throw new FormatError('not-this-format', 'no MBR: boot signature 0xaa55 is missing', { offset: 510 });
  }
  if (protectiveSectors === undefined) {
    throw new FormatError('not-this-format', 'the MBR has no protective record (type 0xee from block 1)', {
      offset: recordsAt,
      hint: 'firmware takes this disk for an MBR disk and ignores its GPT',
    });
  }
  const remarks: string[] = [];
  if (types.length > 1) {
    remarks.push('hybrid MBR: other records beside the protective one are read by some systems only');
  }
  // Tools write 2^32-1 for any size, some firmware the real size; both are in use.
  if (protectiveSectors !== 0xffff_ffff && protectiveSectors !== sectors - 1) {
    remarks.push(`the protective record covers ${protectiveSectors} blocks, the disk has ${sectors}`);
  }
  return remarks;
}
