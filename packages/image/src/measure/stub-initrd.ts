/**
 * What systemd-stub 257 hands the kernel as initrd, which is what the kernel measures: `.ucode`, `.initrd`, and for some
 * sections an archive of one file below /.extra (systemd-stub(7), "Companion files"). Credentials and extensions from
 * the ESP would come between them; the release has none, so with any of them PCR 9 differs.
 */

import type { ByteSource } from '@osguard/formats/bytes';
import { sourceOf } from '@osguard/formats/bytes';
import type { PeImage } from '@osguard/formats/pe';
import { readUkiSection } from '@osguard/formats/pe';

/** In the stub's order. */
const plain = ['.ucode', '.initrd'] as const;
const wrapped = [
  ['.pcrsig', 'tpm2-pcr-signature.json'],
  ['.pcrpkey', 'tpm2-pcr-public-key.pem'],
  ['.osrel', 'os-release'],
  ['.profile', 'profile'],
] as const;

export interface StubInitrd {
  readonly parts: readonly ByteSource[];
  /** The sections they come from. */
  readonly sections: readonly string[];
}

/** One after the other, each but a lone one padded with zeros to a multiple of four bytes. */
export function stubInitrd(image: PeImage): StubInitrd {
  const parts: ByteSource[] = [];
  const sections: string[] = [];
  const add = (name: string, content: ByteSource): void => {
    parts.push(content);
    sections.push(name);
  };
  for (const name of plain) {
    const content = readUkiSection(image, name);
    if (content !== undefined) add(name, content);
  }
  for (const [name, file] of wrapped) {
    const content = readUkiSection(image, name);
    if (content !== undefined) add(name, sourceOf(extraArchive(file, content.read(0, content.size))));
  }
  if (parts.length < 2) return { parts, sections };
  const padded = parts.flatMap((part) => (part.size % 4 === 0 ? [part] : [part, sourceOf(pad(part.size))]));
  return { parts: padded, sections };
}

const folder = '.extra';
const directory = 0o040_555;
const file = 0o100_444;

/** A newc archive as the stub writes it; links of folders and the case of digits are its own, so writeCpio does not fit. */
function extraArchive(name: string, content: Uint8Array): Uint8Array {
  const trailer = `070701${'00000000'.repeat(4)}00000001${'00000000'.repeat(6)}0000000B00000000TRAILER!!!\0\0\0\0`;
  return Buffer.concat([
    entry({ ino: 1, mode: directory, path: folder, content: new Uint8Array() }),
    entry({ ino: 2, mode: file, path: `${folder}/${name}`, content }),
    Buffer.from(trailer, 'latin1'),
  ]);
}

interface Entry {
  readonly ino: number;
  readonly mode: number;
  readonly path: string;
  readonly content: Uint8Array;
}

function entry({ ino, mode, path, content }: Entry): Uint8Array {
  const fields = [ino, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, path.length + 1, 0];
  const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${path}\0`;
  return Buffer.concat([Buffer.from(header, 'latin1'), pad(header.length), content, pad(content.length)]);
}

function pad(length: number): Uint8Array {
  return new Uint8Array(-length & 3);
}
