/**
 * Unified kernel images (UAPI.5): systemd-stub with the kernel, its initrd and command line as sections. The
 * order of sections is this file's own; the stub finds them by name and measures them in its fixed order.
 */

import { FormatError, segmentSource, sliceSource, sourceOf } from '../bytes/index.ts';
import type { ByteSource } from '../bytes/index.ts';
import { parsePe } from './parse.ts';
import type { PeImage, PeSection } from './parse.ts';
import { mergeSbat } from './sbat.ts';
import { appendSections } from './sections.ts';
import type { NewPeSection } from './sections.ts';

export interface UkiParts {
  /** systemd-stub, for example /usr/lib/systemd/boot/efi/linuxx64.efi.stub. */
  readonly stub: ByteSource;
  /** The kernel, itself a PE image (CONFIG_EFI_STUB). */
  readonly linux: ByteSource;
  readonly initrd?: ByteSource;
  /** Microcode, an uncompressed cpio placed before the initrd. */
  readonly ucode?: ByteSource;
  /** One line. */
  readonly cmdline?: string;
  /** Content of os-release. */
  readonly osRelease?: string;
  /** The kernel's version, as `uname -r` says it. */
  readonly uname?: string;
  /** SBAT entries added to those of the stub. */
  readonly sbat?: string;
  /** BMP. */
  readonly splash?: ByteSource;
  /** Public key of signed PCR policies, PEM. */
  readonly pcrPublicKey?: string;
  /** Signed PCR policies, JSON. */
  readonly pcrSignature?: string;
}

/** The unsigned image. @throws FormatError when a part is unusable or the stub has no room. */
export function buildUki(parts: UkiParts): ByteSource {
  const { machine } = parsePe(parts.stub);
  if (parsePe(parts.linux).machine !== machine) {
    throw new FormatError('not-encodable', 'the kernel and the stub are for different processors');
  }
  if (parts.cmdline !== undefined && /[\0\n]/.test(parts.cmdline)) {
    throw new FormatError('not-encodable', 'kernel command line: one line without NUL');
  }
  const stub = parts.sbat === undefined ? parts.stub : withSbat(parts.stub, parts.sbat);
  const own = new Set(parsePe(stub).sections.map(({ name }) => name));
  const sections: readonly (NewPeSection | undefined)[] = [
    text('.osrel', parts.osRelease),
    text('.cmdline', parts.cmdline),
    text('.uname', parts.uname),
    body('.splash', parts.splash),
    text('.pcrpkey', parts.pcrPublicKey),
    body('.ucode', parts.ucode),
    body('.initrd', parts.initrd),
    { name: '.linux', body: parts.linux, code: true },
    text('.pcrsig', parts.pcrSignature),
  ];
  const added = sections.filter((each) => each !== undefined);
  for (const { name } of added) {
    if (own.has(name)) throw new FormatError('not-encodable', `the stub has a section ${name} of its own`);
  }
  return appendSections(stub, added);
}

/** The content of the one section of this name, without its file padding; undefined when there is none. */
export function readUkiSection(image: PeImage, name: string): ByteSource | undefined {
  const [section, ...others] = image.sections.filter((each) => each.name === name);
  if (others.length > 0)
    throw new FormatError('malformed', `PE image: ${others.length + 1} sections ${name}`);
  return section && sectionBody(image, section);
}

/** A section's bytes in the file; a virtual size beyond them is zeros in memory and not returned. */
export function sectionBody(image: PeImage, section: PeSection): ByteSource {
  return sliceSource(image.source, section.rawOffset, Math.min(section.virtualSize, section.rawSize));
}

function text(name: string, content: string | undefined): NewPeSection | undefined {
  return content === undefined ? undefined : { name, body: sourceOf(Buffer.from(content, 'utf8')) };
}

function body(name: string, content: ByteSource | undefined): NewPeSection | undefined {
  return content && { name, body: content };
}

/** Replaces the text of the stub's own `.sbat`, in the room its section has. */
function withSbat(stub: ByteSource, sbat: string): ByteSource {
  const image = parsePe(stub);
  const index = image.sections.findIndex(({ name }) => name === '.sbat');
  const section = image.sections[index];
  if (section === undefined)
    throw new FormatError('not-encodable', 'the stub has no .sbat section to add to');
  const present = sectionBody(image, section);
  const merged = Buffer.from(
    mergeSbat(Buffer.from(present.read(0, present.size)).toString('utf8'), sbat),
    'utf8',
  );
  if (merged.length > section.rawSize) {
    throw new FormatError(
      'not-encodable',
      `.sbat: ${merged.length} bytes, the stub has room for ${section.rawSize}`,
    );
  }
  const bytes = Uint8Array.from(stub.read(0, section.rawOffset));
  const data = new Uint8Array(section.rawSize);
  data.set(merged);
  new DataView(bytes.buffer).setUint32(image.at.sectionTable + index * 40 + 8, merged.length, true);
  const rest = section.rawOffset + section.rawSize;
  return segmentSource(
    [
      { offset: 0, body: sourceOf(bytes) },
      { offset: section.rawOffset, body: sourceOf(data) },
      { offset: rest, body: sliceSource(stub, rest, stub.size - rest) },
    ],
    stub.size,
  );
}
