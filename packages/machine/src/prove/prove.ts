/** The proof: boots a release and attacks it. One row an attack, with its control and the evidence. */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EventSink } from '@osguard/events';
import { step } from '@osguard/events';
import type { ReleaseFolder } from '@osguard/image';
import { openFileSource } from '@osguard/image';
import type { Keyring } from '@osguard/keys';
import { readHostConfiguration } from '../attest-demo/host-configuration.ts';
import { MachineError } from '../error.ts';
import { openTools } from '../tools/open.ts';
import { chooseAccelerator } from '../vm/accelerator.ts';
import type { CleanBoot } from './clean-boot.ts';
import type { BootLimits, ProofContext } from './context.ts';
import { defaultLimits, noControls } from './context.ts';
import { intruderTree } from './intruder-volume.ts';
import { runBoots } from './lanes.ts';
import { writeProofFiles } from './proof-files.ts';
import type { ProofSummary, Row } from './row.ts';
import { summarise } from './row.ts';
import type { AttackRow } from './table.ts';
import { attackRows } from './table.ts';
import { enrolledVariables } from './variables.ts';
import { findVictim } from './victim.ts';

export interface ProveOptions {
  readonly release: ReleaseFolder;
  /**
   * Private keys of the roles boot and layers, certificates of platform and exchange; where containers are attacked, the
   * private keys of usr and release too.
   */
  readonly keyring: Keyring;
  /** Only what one enforcing boot and the firmware can show, without control boots. */
  readonly short: boolean;
  /** Only these rows. */
  readonly only?: readonly string[];
  readonly sink: EventSink;
  readonly onRow?: (row: Row) => void;
  readonly signal?: AbortSignal;
  /** Folder for the consoles of the boots, made when it is not there. */
  readonly consoles?: string;
  readonly memoryMiB?: number;
  readonly cpus?: number;
  readonly limits?: BootLimits;
}

export interface ProofReport {
  readonly release: { readonly name: string; readonly version: string; readonly rootHash: string };
  readonly checks: readonly Row[];
  readonly summary: ProofSummary;
  /** Absent when the host was not reached or not asked. */
  readonly cleanBoot?: CleanBoot;
  readonly environment: ProofEnvironment;
}

/** In which machine the proof was made. */
export interface ProofEnvironment {
  readonly accelerator: 'kvm' | 'tcg';
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly short: boolean;
  /** False when attacks were chosen by name: such a proof says nothing of the others. */
  readonly complete: boolean;
  /** ISO 8601, when the proof began. */
  readonly started: string;
}

/** @throws MachineError when no machine could be started at all; attacks that cannot be made are untestable rows. */
export async function prove(options: ProveOptions): Promise<ProofReport> {
  const { release, keyring, sink, signal, onRow = () => undefined, consoles } = options;
  const started = performance.now();
  const containers = enforcesLayers(release);
  const rows = selectRows(options, containers);
  const tools = await openTools({ sets: ['run', 'intruder'], sink, ...(signal !== undefined && { signal }) });
  const environment = {
    accelerator: (await chooseAccelerator(tools)).accelerator,
    cpus: options.cpus ?? 2,
    memoryMiB: options.memoryMiB ?? 2048,
    short: options.short,
    complete: options.only === undefined,
    started: new Date().toISOString(),
  };
  if (consoles !== undefined) mkdirSync(consoles, { recursive: true });
  const folder = mkdtempSync(join(tmpdir(), 'osguard-proof-'));
  const removeFolder = (): void => rmSync(folder, { recursive: true, force: true });
  process.once('exit', removeFolder);
  try {
    const full = !options.short;
    const making = { id: 'proof-files', title: 'make the intruder, his volumes and the bad images' };
    const files = await step(sink, making, () =>
      writeProofFiles({
        uki: release.file('uki.efi'),
        rootHash: release.rootHash,
        keyring,
        intruderTree: intruderTree(tools),
        folder,
        full,
        containers: rows.some(({ stage }) => stage === 'container'),
      }),
    );
    const variables = join(folder, 'variables.fd');
    writeFileSync(variables, enrolledVariables(keyring, { tools, release }));
    const disk = release.file('disk.raw');
    using source = openFileSource(disk);
    const context: ProofContext = {
      tools,
      files,
      variables,
      disk,
      rootHash: release.rootHash,
      victim: findVictim(source, release.rootHash),
      memoryMiB: environment.memoryMiB,
      cpus: environment.cpus,
      folder,
      limits: options.limits ?? defaultLimits,
      controls: noControls,
      sink,
      onRow,
      ...(consoles !== undefined && { consoleFolder: consoles }),
      ...(signal !== undefined && { signal }),
    };
    const { checks, cleanBoot } = await runBoots(context, {
      rows,
      full,
      lanes: lanes(environment.memoryMiB),
    });
    if (signal?.aborted === true) throw new MachineError('aborted', 'the proof was interrupted');
    return {
      release: { name: release.name, version: release.version, rootHash: release.rootHash },
      checks,
      summary: summarise(checks, (performance.now() - started) / 1000),
      ...(cleanBoot !== undefined && { cleanBoot }),
      environment,
    };
  } finally {
    process.removeListener('exit', removeFolder);
    removeFolder();
  }
}

function enforcesLayers(release: ReleaseFolder): boolean {
  return readHostConfiguration(release)?.layers?.mode === 'enforce';
}

/** Boots that do not need each other run at the same time where there are processors and memory for two. */
function lanes(memoryMiB: number): 1 | 2 {
  // Not freemem(): what the page cache holds can be had.
  const available = /^MemAvailable: +(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1];
  const enough = Number(available ?? 0) > 2 * memoryMiB * 1024;
  return availableParallelism() >= 2 && enough ? 2 : 1;
}

/** What attacks containers is left out where any container may run. Nothing that was named is left out in silence. */
export function selectRows(
  { short, only }: Pick<ProveOptions, 'short' | 'only'>,
  containers: boolean,
): readonly AttackRow[] {
  const possible = attackRows.filter(
    (row) => (!short || row.short) && (containers || row.stage !== 'container'),
  );
  if (only === undefined) return possible;
  for (const id of only) {
    const row = attackRows.find((each) => each.id === id);
    if (row === undefined) {
      throw new MachineError('bad-option', `there is no attack ${id}`, {
        hint: `attacks: ${attackRows.map((each) => each.id).join(', ')}`,
      });
    }
    if (short && !row.short) {
      throw new MachineError('bad-option', `${id} is not part of the short proof`, {
        hint: 'leave --short out',
      });
    }
    if (!possible.includes(row)) {
      throw new MachineError('bad-option', `${id}: containers of this release need no signature`, {
        hint: 'build it with layers: {mode: enforce}',
      });
    }
  }
  return possible.filter(({ id }) => only.includes(id));
}
