/**
 * PCR 11: what systemd-stub measures of the UKI it was started from (systemd-stub(7), "TPM PCR Notes"; systemd 257,
 * src/boot/stub.c and src/fundamental/uki.c): of every section that is there, in the stub's own order, first the name
 * with its NUL, then the content as it lies in memory. Where the section is in the file does not matter.
 */

import type { ByteSource } from '@osguard/formats/bytes';
import { sourceOf } from '@osguard/formats/bytes';
import type { PcrBank } from '@osguard/formats/eventlog';
import type { PeImage } from '@osguard/formats/pe';
import { parsePe, sectionBody } from '@osguard/formats/pe';
import type { ExpectedEvent } from '@osguard/formats/reference-values';
import { ImageError } from '../error.ts';
import { hashBytes, hashSource } from './digest.ts';

/** In the order of measuring. `.pcrsig` is left out: it holds signatures over the result. */
export const measuredSections = [
  '.linux',
  '.osrel',
  '.cmdline',
  '.initrd',
  '.ucode',
  '.splash',
  '.dtb',
  '.uname',
  '.sbat',
  '.pcrpkey',
  '.profile',
  '.dtbauto',
  '.hwids',
] as const;

export type MeasuredSection = (typeof measuredSections)[number];

/** Sections whose content a person can read in an explanation. */
const readable: ReadonlySet<string> = new Set(['.osrel', '.cmdline', '.uname', '.sbat', '.profile']);
/** Bytes; more is no line anybody compares. */
const mostText = 16_384;

export interface SectionContent {
  readonly body: ByteSource;
  /** Zero bytes that follow in memory. */
  readonly zeros: number;
}

/** The measured sections of an image. @throws ImageError for UKIs with several profiles, whose measurement depends on a choice */
export function readMeasuredSections(image: PeImage): ReadonlyMap<MeasuredSection, SectionContent> {
  const found = new Map<MeasuredSection, SectionContent>();
  for (const name of measuredSections) {
    const [section, ...others] = image.sections.filter((each) => each.name === name);
    if (section === undefined) continue;
    if (others.length > 0 || name === '.profile') {
      throw new ImageError(
        'not-an-image',
        `the UKI has more than one ${name}: profiles and device trees are chosen at boot`,
        {
          hint: 'build one UKI for each profile',
        },
      );
    }
    const body = sectionBody(image, section);
    found.set(name, { body, zeros: Math.max(0, section.virtualSize - body.size) });
  }
  return found;
}

export interface SectionOptions {
  readonly bank: PcrBank;
  /** For people: where the image lies. `uki.efi` unless told otherwise. */
  readonly file?: string;
}

/** The events in order. */
export function sectionEvents(
  sections: ReadonlyMap<MeasuredSection, SectionContent>,
  { bank, file = 'uki.efi' }: SectionOptions,
): readonly ExpectedEvent[] {
  const common = { log: 'firmware', type: 'EV_IPL' } as const;
  const events: ExpectedEvent[] = [];
  for (const name of measuredSections) {
    const content = sections.get(name);
    if (content === undefined) continue;
    const source = `${file}, section ${name}`;
    const text = readable.has(name) ? textOf(content) : undefined;
    events.push(
      { ...common, digest: hashBytes(`${name}\0`, bank), what: `name of section ${name}`, source },
      {
        ...common,
        digest: hashSource(content.body, bank, content.zeros),
        what: `content of section ${name}`,
        source,
        ...(text !== undefined && { text }),
      },
    );
  }
  return events;
}

/** The text of a small section without NULs at its end; undefined when it is no text. */
export function textOf({ body }: SectionContent): string | undefined {
  if (body.size > mostText) return undefined;
  try {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    return decoder.decode(body.read(0, body.size)).replace(/\0+$/, '');
  } catch {
    return undefined;
  }
}

/** Sections given as bytes, as systemd-measure takes them from files. */
export function sectionsFromBytes(
  parts: ReadonlyMap<MeasuredSection, Uint8Array>,
): ReadonlyMap<MeasuredSection, SectionContent> {
  return new Map([...parts].map(([name, bytes]) => [name, { body: sourceOf(bytes), zeros: 0 }]));
}

export function isMeasuredSection(name: string): name is MeasuredSection {
  return measuredSections.some((each) => each === name);
}

/** The sections of a UKI in a file or memory. @throws FormatError, ImageError */
export function sectionsOfUki(uki: ByteSource): ReadonlyMap<MeasuredSection, SectionContent> {
  return readMeasuredSections(parsePe(uki));
}
