/** What all boots of one proof share. */

import type { EventSink } from '@osguard/events';
import type { RootHash } from '@osguard/formats/verity';
import { containerSerialNumber } from '../containers/container-volume.ts';
import type { Tools } from '../tools/open.ts';
import type { DiskOptions } from '../vm/options.ts';
import type { ProofFiles } from './proof-files.ts';
import { intruderSerialNumber } from './planted-initrd.ts';
import type { Observation, Row } from './row.ts';
import type { Victim } from './victim.ts';

export interface ProofContext {
  readonly tools: Tools;
  readonly files: ProofFiles;
  /** The release's disk image; never written. */
  readonly disk: string;
  /** Variable store with the release's keys enrolled. */
  readonly variables: string;
  readonly rootHash: RootHash;
  /** A file of /usr with a block of its own, to change a byte of. */
  readonly victim: Victim;
  readonly memoryMiB: number;
  readonly cpus: number;
  /** For what the boots write: overlays. Removed with the proof. */
  readonly folder: string;
  readonly sink: EventSink;
  /** Called with every row as soon as it is decided. */
  readonly onRow: (row: Row) => void;
  readonly signal?: AbortSignal;
  /** Folder for the console of each boot, `<boot>.log`. */
  readonly consoleFolder?: string;
  /** Milliseconds a boot may take in all, and how long its serial lines may be silent. */
  readonly limits: BootLimits;
  readonly controls: Controls;
}

/** What the attacks did in the control boots, by attack; empty when none was made. */
export interface Controls {
  readonly unprotected: ReadonlyMap<string, Observation>;
  readonly unlocked: ReadonlyMap<string, Observation>;
}

export const noControls: Controls = { unprotected: new Map(), unlocked: new Map() };

export interface BootLimits {
  readonly total: number;
  readonly silence: number;
}

/** Generous: TCG on a busy machine needs minutes for what KVM does in seconds. */
export const defaultLimits: BootLimits = { total: 20 * 60_000, silence: 4 * 60_000 };

export function bootDisk(path: string, bootIndex: number): DiskOptions {
  return { path, format: 'raw', writes: 'readonly', bootIndex };
}

/** The release's disk; what is written to it is thrown away, or kept in `overlay`. */
export function releaseDisk(
  context: Pick<ProofContext, 'disk'>,
  bootIndex: number,
  overlay?: string,
): DiskOptions {
  const writes = overlay === undefined ? 'snapshot' : { overlay };
  return { path: context.disk, format: 'raw', writes, bootIndex };
}

/** Read-only; the firmware is never asked to boot from it before the others. */
export function intruderDisk({ files }: Pick<ProofContext, 'files'>): DiskOptions {
  return { ...bootDisk(files.intruder.path, 90), serial: intruderSerialNumber };
}

/** The disk with the images, when containers are attacked; read-only. */
export function containerDisks({
  files: { containers },
}: Pick<ProofContext, 'files'>): readonly DiskOptions[] {
  return containers === undefined
    ? []
    : [{ ...bootDisk(containers.path, 91), serial: containerSerialNumber }];
}
