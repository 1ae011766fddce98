import { crc32 } from 'node:zlib';
import { sourceOf } from '@osguard/formats/bytes';
import { encodeGpt, gptTypes, readGpt } from '@osguard/formats/gpt';
import type { FuzzTarget } from '@osguard/testkit';
import { defineFuzz } from '@osguard/testkit';

function disk(sectorSize: 512 | 4096): Uint8Array {
  const sectors = sectorSize === 512 ? 100 : 24;
  const { primary, backup } = encodeGpt({
    sectors,
    sectorSize,
    diskGuid: gptTypes.srv,
    partitions: [0, 1].map((i) => ({
      type: gptTypes.esp,
      guid: i === 0 ? gptTypes.home : gptTypes.tmp,
      firstLba: (sectorSize === 512 ? 40 : 8) + i,
      lastLba: (sectorSize === 512 ? 40 : 8) + i,
      attributes: 0n,
      name: `name ${i}`,
    })),
  });
  const bytes = new Uint8Array(sectors * sectorSize);
  bytes.set(primary.bytes);
  bytes.set(backup.bytes, backup.offset);
  return bytes;
}

/** A copy whose primary header and entries have right checksums, whatever else is broken. */
function repairChecksums(broken: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(broken);
  if (bytes.length < 604) return bytes;
  const view = new DataView(bytes.buffer);
  const size = view.getUint32(512 + 80, true) * view.getUint32(512 + 84, true);
  const at = view.getUint32(512 + 72, true) * 512;
  if (size <= bytes.length) view.setUint32(512 + 88, crc32(bytes.subarray(at, at + size)), true);
  view.setUint32(512 + 16, 0, true);
  view.setUint32(512 + 16, crc32(bytes.subarray(512, 604)), true);
  return bytes;
}

export const target: FuzzTarget = defineFuzz({
  name: 'gpt',
  seeds: () => [disk(512), disk(4096)],
  run(bytes) {
    const repaired = repairChecksums(bytes);
    try {
      readGpt(sourceOf(bytes));
    } finally {
      // Behind the checksums lies most of the parser; an error of this reading replaces that of the first.
      readGpt(sourceOf(repaired));
    }
  },
});
