import { inflateSync } from 'node:zlib';
import { segmentSource, sourceOf } from '@osguard/formats/bytes';
import type { Segment } from '@osguard/formats/bytes';
import { readFat, writeFat } from '@osguard/formats/fat';
import type { FuzzTarget } from '@osguard/testkit';
import { defineFuzz } from '@osguard/testkit';

/** 64 KiB, FAT12, made by mkfs.vfat and mtools: folders, short and long names. */
const fat12 =
  'eNrt1sFLFFEcB/C3miiGuqeoU49uXYb03GUXMgRZO2wRhMEsjrq47oizCEKIf0J/R3TsFkTnwP+gY7e9ePTkNroKLmQevBR+Pgy8mfnO8OD9ePOb/vOP21vrRbKe9sJYpRLGquEwnFRCNYyFS4fhaSWc/liu1eOFxVpzfqEcZx9/e/fh85Pvvftvvsx+nQxH1ff944VfRw+OHvVPm5vtIpZHN+/FNLbyvJe2OllcaxdbSYyvOllaZLHdLbLdkXy9k+/s7Me0uzYzvbObFUV5uh+3sv3Yy2Nvt0w20nY3JkkSZ6YDt/H608ngXB4mjweDOSty16j/3Xbloz4VwrOFvdW91eE4zF8sLl3m1dF82B9qF2HzbTM+HMmnwrjl/eclMf61vklyXT58v76y0vxzrvr/d/3Hb6j/Tfv/3vn+r7dDtxzOesxcOB5cMbxZqYUYOiEvnyrzjfKiG9KwHbKzuUMr1JZXGi8bB/P1pUYcnX8i/JxQv9vabPuHBgD9HwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACu9xvN7aP0';

const size = 34 * 1024 * 1024;
const file = (length: number) => sourceOf(new Uint8Array(length));

function template(): readonly Segment[] {
  const { segments } = writeFat({
    size,
    volumeId: 1,
    mtime: 0,
    label: 'ESP',
    files: [
      { path: 'EFI/BOOT/BOOTX64.EFI', body: file(1500) },
      { path: 'EFI/Linux/a long name of a kernel image.efi', body: file(600) },
    ],
  });
  return segments;
}

/** FAT32 volumes are too large to mutate: only their structures are, packed one after the other. */
function pack(): Uint8Array {
  return Buffer.concat(template().map(({ body }) => body.read(0, body.size)));
}

function readPacked(bytes: Uint8Array): void {
  let at = 0;
  const segments = template().map(({ offset, body }) => {
    const piece = bytes.subarray(at, at + body.size);
    at += body.size;
    return { offset, body: sourceOf(piece) };
  });
  readAll(readFat(segmentSource(segments, size)));
}

function readAll(volume: ReturnType<typeof readFat>): void {
  for (const node of volume.nodes) {
    if (node.kind === 'file') volume.open(node).read(0, node.size);
  }
}

export const target: FuzzTarget = defineFuzz({
  name: 'fat',
  seeds: () => [inflateSync(Buffer.from(fat12, 'base64')), pack()],
  run(bytes) {
    if (bytes.length > 32_768) readAll(readFat(sourceOf(bytes)));
    else readPacked(bytes);
  },
});
