/** The types of reference-values.json; what its fields demand is in schema.ts. */

import type { FirmwareRule } from './rules.ts';

/**
 * Phases of a boot in order. `firmware` is the state when the kernel's first program starts; each of the others begins
 * with systemd-pcrextend measuring its name into PCR 11 (systemd-pcrphase.service(8)).
 */
export const bootPhases = ['firmware', 'enter-initrd', 'leave-initrd', 'sysinit', 'ready'] as const;

export type BootPhase = (typeof bootPhases)[number];

/** The bank of all values and digests. */
export type ReferenceBank = 'sha256' | 'sha384';

export interface ExpectedEvent {
  /** In which log it is to be found. */
  readonly log: 'firmware' | 'userspace';
  /** `EV_…` in the firmware's log, systemd's word in the userspace log. */
  readonly type: string;
  /** Lower-case hex. */
  readonly digest: string;
  /** What is measured, for people: `section .cmdline: its content`. */
  readonly what: string;
  /** Where the expectation comes from: `uki.efi, section .cmdline`, `certificate of the role boot`. */
  readonly source: string;
  /** The measured text itself, when it is text a person can compare. */
  readonly text?: string;
  /** The phase this event begins. */
  readonly begins?: BootPhase;
}

export interface PcrReference {
  readonly pcr: number;
  /** systemd's name of it: `boot-loader-code`. */
  readonly name: string;
  /** All of them, in order: no further event may extend this PCR. */
  readonly events: readonly ExpectedEvent[];
  /** Lower-case hex, after each phase. */
  readonly values: Readonly<Record<BootPhase, string>>;
}

export interface ReferenceValues {
  /** Of the release. */
  readonly name: string;
  readonly version: string;
  readonly bank: ReferenceBank;
  /** By number. */
  readonly pcrs: readonly PcrReference[];
  /** For the PCRs that firmware decides. */
  readonly firmware: readonly FirmwareRule[];
}
