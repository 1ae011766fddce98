/** From a release's boot image and keys to what a machine that boots them measures: reference-values.json. */

import type { ByteSource } from '@osguard/formats/bytes';
import { parsePe } from '@osguard/formats/pe';
import type {
  ExpectedEvent,
  PcrReference,
  ReferenceBank,
  ReferenceValues,
} from '@osguard/formats/reference-values';
import { phaseValues } from '@osguard/formats/reference-values';
import type { SecureBootExpectation } from './boot-events.ts';
import { bootLoaderEvents, kernelEvents, secureBootEvents } from './boot-events.ts';
import { firmwareRules } from './firmware-rules.ts';
import { phaseEvents } from './phases.ts';
import { readMeasuredSections, sectionEvents } from './uki-sections.ts';

export interface PredictOptions {
  /** Of the release. */
  readonly name: string;
  readonly version: string;
  /** Signed. */
  readonly uki: ByteSource;
  /** Its Authenticode digest in the bank in lower-case hex, when the caller has it: some 25 MB are not hashed again. */
  readonly ukiDigest?: string;
  readonly secureBoot: SecureBootExpectation;
  /** Default sha256. */
  readonly bank?: ReferenceBank;
}

/** PCRs nobody extends on the way to the host, and who would: systemd's names. */
const untouched: readonly (readonly [number, string])[] = [
  [8, 'boot-loader-commands'],
  // Command lines, credentials and add-ons from outside the UKI.
  [12, 'kernel-config'],
  [13, 'sysexts'],
  [14, 'shim-policy'],
  [15, 'system-identity'],
];

/** @throws FormatError when `uki` is no PE image, ImageError when its measurement depends on a choice at boot */
export function predictMeasurements(options: PredictOptions): ReferenceValues {
  const { name, version, ukiDigest, bank = 'sha256' } = options;
  const image = parsePe(options.uki);
  const sections = readMeasuredSections(image);
  const pcr = (number: number, called: string, events: readonly ExpectedEvent[]): PcrReference => ({
    pcr: number,
    name: called,
    events,
    values: phaseValues(events, bank),
  });
  const pcrs = [
    pcr(4, 'boot-loader-code', bootLoaderEvents(image, bank, ukiDigest)),
    pcr(7, 'secure-boot-policy', secureBootEvents(options.secureBoot, bank)),
    pcr(9, 'kernel-initrd', kernelEvents(image, bank)),
    pcr(11, 'kernel-boot', [...sectionEvents(sections, { bank }), ...phaseEvents(bank)]),
    ...untouched.map(([number, called]) => pcr(number, called, [])),
  ];
  pcrs.sort((a, b) => a.pcr - b.pcr);
  return { name, version, bank, pcrs, firmware: firmwareRules };
}

export interface UkiMeasurement {
  readonly pcr4: readonly MeasuredEvent[];
  readonly pcr9: readonly MeasuredEvent[];
  readonly pcr11: readonly MeasuredEvent[];
  /** After firmware, lower-case hex. PCR 4 and 9 do not change any more. */
  readonly values: { readonly pcr4: string; readonly pcr9: string };
}

export interface MeasuredEvent extends Pick<ExpectedEvent, 'type' | 'digest' | 'what' | 'source'> {
  readonly pcr: number;
}

/** What a boot image alone decides, in the bank sha256. @throws as predictMeasurements */
export function ukiEvents(uki: ByteSource): UkiMeasurement {
  const bank = 'sha256';
  const image = parsePe(uki);
  const events = {
    4: bootLoaderEvents(image, bank),
    9: kernelEvents(image, bank),
    11: sectionEvents(readMeasuredSections(image), { bank }),
  } as const;
  const of = (pcr: 4 | 9 | 11): readonly MeasuredEvent[] =>
    events[pcr].map(({ type, digest, what, source }) => ({ pcr, type, digest, what, source }));
  return {
    pcr4: of(4),
    pcr9: of(9),
    pcr11: of(11),
    values: { pcr4: phaseValues(events[4], bank).firmware, pcr9: phaseValues(events[9], bank).firmware },
  };
}
