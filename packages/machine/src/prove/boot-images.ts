/** Boot images made from the release's own UKI: tampered ones for the firmware, and ones only the key holder can make. */

import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { ByteSource, Segment } from '@osguard/formats/bytes';
import { segmentSource, sourceOf } from '@osguard/formats/bytes';
import { writeFat } from '@osguard/formats/fat';
import { parsePe, sectionBody, stripSignatures } from '@osguard/formats/pe';
import type { Signer } from '@osguard/keys';
import { signPe } from '@osguard/keys';
import { MachineError } from '../error.ts';

const mebibyte = 1024 * 1024;

export type TamperedImage = 'uki-unsigned' | 'uki-foreign' | 'uki-cmdline' | 'uki-section';

/** One boot image on a disk of its own, as the firmware finds it. */
export interface BootDisk {
  readonly id: TamperedImage;
  readonly path: string;
}

/** @param uki the release's signed image @param foreign a signer nobody trusts */
export async function writeTamperedDisks(
  uki: ByteSource,
  { folder, foreign }: { readonly folder: string; readonly foreign: Signer },
): Promise<readonly BootDisk[]> {
  const unsigned = stripSignatures(uki);
  const images: readonly (readonly [TamperedImage, ByteSource])[] = [
    ['uki-unsigned', unsigned],
    ['uki-foreign', await signPe(foreign, unsigned)],
    ['uki-cmdline', withFlippedBit(uki, '.cmdline')],
    ['uki-section', withFlippedBit(uki, '.initrd')],
  ];
  return images.map(([id, image]) => ({ id, path: writeBootDisk(join(folder, `${id}.raw`), image) }));
}

/** The image with one bit of a section changed, signature and all else as they were. */
function withFlippedBit(image: ByteSource, name: string): ByteSource {
  const parsed = parsePe(image);
  const section = parsed.sections.find((each) => each.name === name);
  if (section === undefined) throw new MachineError('bad-option', `the UKI has no section ${name}`);
  const body = sectionBody(parsed, section);
  const at = section.rawOffset + (body.size >> 1);
  const bytes = Uint8Array.from(image.read(0, image.size));
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return sourceOf(bytes);
}

/** A disk without partitions whose FAT volume holds the image as removable-media default. */
export function writeBootDisk(path: string, image: ByteSource): string {
  const size = Math.max(64 * mebibyte, Math.ceil((image.size + 8 * mebibyte) / mebibyte) * mebibyte);
  const { segments } = writeFat({
    size,
    volumeId: 0x05a1_0001,
    label: 'PROOF',
    mtime: 0x386d_4380,
    files: [{ path: 'EFI/BOOT/BOOTX64.EFI', body: image }],
  });
  writeSparse(path, segments, size);
  return path;
}

function writeSparse(path: string, segments: readonly Segment[], size: number): void {
  const whole = segmentSource(segments, size);
  const fd = openSync(path, 'w');
  try {
    for (const { offset, body } of segments) {
      for (let at = 0; at < body.size; at += 4 * mebibyte) {
        const piece = body.read(at, Math.min(4 * mebibyte, body.size - at));
        writeSync(fd, piece, 0, piece.length, offset + at);
      }
    }
    // The last byte gives the file its size; everything between the segments stays a hole.
    writeSync(fd, whole.read(size - 1, 1), 0, 1, size - 1);
  } finally {
    closeSync(fd);
  }
}
