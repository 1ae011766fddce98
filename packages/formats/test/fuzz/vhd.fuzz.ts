import { segmentSource, sourceOf } from '@osguard/formats/bytes';
import { encodeVhdFooter, readVhd } from '@osguard/formats/vhd';
import type { FuzzTarget } from '@osguard/testkit';
import { defineFuzz } from '@osguard/testkit';

const uuid = '8484680c-9521-48c6-9c11-b0720656f69e';

const size = 1024 * 1024;

function readBehindDisk(footer: Uint8Array): void {
  readVhd(segmentSource([{ offset: size, body: sourceOf(footer) }], size + footer.length));
}

function repairChecksum(broken: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(broken);
  if (bytes.length < 68) return bytes;
  bytes.fill(0, 64, 68);
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  new DataView(bytes.buffer).setUint32(64, ~sum >>> 0);
  return bytes;
}

export const target: FuzzTarget = defineFuzz({
  name: 'vhd',
  seeds: () => [encodeVhdFooter({ size, uuid, time: 1_700_000_000 })],
  run(bytes) {
    try {
      readBehindDisk(bytes);
    } finally {
      readBehindDisk(repairChecksum(bytes));
    }
  },
});
