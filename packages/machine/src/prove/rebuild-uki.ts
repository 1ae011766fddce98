/** The release's UKI with other contents in some sections: what only a holder of the boot key can make. */

import type { ByteSource } from '@osguard/formats/bytes';
import { sourceOf } from '@osguard/formats/bytes';
import { appendSections, parsePe, stripSignatures } from '@osguard/formats/pe';
import { MachineError } from '../error.ts';

const sectionHeaderSize = 40;
const nameSize = 8;

/**
 * Unsigned. The old sections stay in the file under names nobody looks for; the stub finds sections by name.
 * @param without sections that are gone afterwards
 * @throws MachineError when there is no such section
 */
export function withSections(
  uki: ByteSource,
  contents: ReadonlyMap<string, Uint8Array>,
  { without = [] }: { readonly without?: readonly string[] } = {},
): ByteSource {
  const plain = stripSignatures(uki);
  const image = parsePe(plain);
  const bytes = Uint8Array.from(plain.read(0, plain.size));
  for (const [count, name] of [...contents.keys(), ...without].entries()) {
    const index = image.sections.findIndex((each) => each.name === name);
    if (index < 0) throw new MachineError('bad-option', `the UKI has no section ${name}`);
    const at = image.at.sectionTable + index * sectionHeaderSize;
    bytes.fill(0, at, at + nameSize).set(Buffer.from(`.old${count}`), at);
  }
  const added = Array.from(contents, ([name, body]) => ({ name, body: sourceOf(body) }));
  return appendSections(sourceOf(bytes), added);
}

/** Two initrds one after the other: the kernel unpacks both, files of the later one win. */
export function appendArchive(initrd: Uint8Array, archive: Uint8Array): Uint8Array {
  return Buffer.concat([initrd, new Uint8Array(-initrd.length & 3), archive]);
}
