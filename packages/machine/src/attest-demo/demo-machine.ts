/**
 * One machine over several boots: its TPM and the firmware's variables live in its state folder, disks and whatever else
 * somebody does to it come with each boot. What the boot came to is read off the console, where guard and agent speak.
 */

import { cpSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MachineError } from '../error.ts';
import type { Tools } from '../tools/open.ts';
import type { Machine } from '../vm/launch.ts';
import { startMachine } from '../vm/machine.ts';
import type { TpmPassport } from '../vm/manufacture-tpm.ts';
import { clearTpm, manufactureTpm, tpmStateFolder } from '../vm/manufacture-tpm.ts';
import type { DiskOptions } from '../vm/options.ts';
import type { TpmAuthority } from '../vm/tpm-authority.ts';

export interface DemoMachineOptions {
  readonly tools: Tools;
  /** Made when missing. */
  readonly state: string;
  readonly memoryMiB?: number;
  readonly cpus?: number;
  readonly signal?: AbortSignal;
}

export interface BootRequest {
  /** The one the firmware tries first comes first; qcow2 when named so. Writes are thrown away. */
  readonly disks: readonly string[];
  /** The variable store at power-on; undefined: blank, Secure Boot off. */
  readonly variables: Uint8Array | undefined;
  readonly smbios?: readonly string[];
  /** File for the console. */
  readonly consoleLog?: string;
  /** Milliseconds. */
  readonly limit?: number;
}

export type BootEnd =
  /** The agent says that the verifier trusts it. */
  | 'trusted'
  /** The agent says that the verifier refuses it. */
  | 'refused'
  /** The verifier does not enrol it: an operator would have to. */
  | 'not-enrolled'
  /** The initrd ended the boot before the host started: power off, or PID 1 froze. */
  | 'halted'
  /** The firmware started nothing. */
  | 'not-booted';

export interface BootOutcome {
  readonly end: BootEnd;
  /** The lines that say so, without the console's own prefix. */
  readonly lines: readonly string[];
  /** From power-on. */
  readonly seconds: number;
}

const longestBoot = 10 * 60_000;
/** How long the reasons of a refusal may take to follow it on the console. Milliseconds. */
const settle = 1500;

const ends: readonly (readonly [BootEnd, RegExp])[] = [
  ['trusted', /attest: TRUSTED/],
  ['refused', /attest: REFUSED/],
  ['not-enrolled', /attest: an operator has to allow this node/],
  [
    'halted',
    /osguard: (?:boot refused|.*command line)|reboot: Power down|Failed to load IPE policy|Freezing execution|Kernel panic/,
  ],
  ['not-booted', /BdsDxe: No bootable option/],
];
const anyEnd = new RegExp(ends.map(([, { source }]) => source).join('|'));

export class DemoMachine {
  readonly #options: DemoMachineOptions;

  constructor(options: DemoMachineOptions) {
    this.#options = options;
  }

  get state(): string {
    return this.#options.state;
  }

  /** Gives it a TPM of this manufacturer, instead of the one it had. */
  async manufacture(authority: TpmAuthority): Promise<TpmPassport> {
    const { tools, state } = this.#options;
    rmSync(join(state, tpmStateFolder), { recursive: true, force: true });
    return manufactureTpm(tools, { state, authority });
  }

  async clearTpm(): Promise<void> {
    await clearTpm(this.#options.tools, this.#options.state);
  }

  /** A copy of the TPM as it is now; {@link putTpm} puts it back, or into another machine. */
  saveTpm(folder: string): void {
    rmSync(folder, { recursive: true, force: true });
    cpSync(join(this.#options.state, tpmStateFolder), folder, { recursive: true });
  }

  putTpm(folder: string): void {
    const place = join(this.#options.state, tpmStateFolder);
    rmSync(place, { recursive: true, force: true });
    cpSync(folder, place, { recursive: true });
  }

  /** Boots, and switches off as soon as it is known what the boot came to. @throws MachineError (`timeout`) */
  async boot(request: BootRequest): Promise<BootOutcome> {
    const { tools, state, memoryMiB = 2048, cpus = 2, signal } = this.#options;
    const store = join(state, 'variables.fd');
    // What firmware remembers of an earlier boot is no part of this one.
    if (existsSync(store)) rmSync(store);
    if (request.variables !== undefined) writeFileSync(store, request.variables);
    const disks = request.disks.map((path): DiskOptions => ({
      path,
      format: path.endsWith('.qcow2') ? 'qcow2' : 'raw',
      writes: 'snapshot',
    }));
    await using machine = await startMachine({
      tools,
      state,
      memoryMiB,
      cpus,
      disks,
      smbios: request.smbios ?? [],
      onReset: 'exit',
      network: { restrict: false, forward: [] },
      ...(request.consoleLog !== undefined && { consoleLog: request.consoleLog }),
      ...(signal !== undefined && { signal }),
    });
    return await watch(machine, request.limit ?? longestBoot);
  }
}

async function watch(machine: Machine, limit: number): Promise<BootOutcome> {
  const line = await machine.console.waitFor(anyEnd, { timeoutMs: limit });
  const end = ends.find(([, pattern]) => pattern.test(line.text))?.[0];
  if (end === undefined) throw new MachineError('timeout', `unexpected: ${line.text}`);
  const seconds = line.at / 1000;
  // Reasons follow in lines of their own.
  await new Promise((resolve) => setTimeout(resolve, settle));
  const lines = machine.console.lines
    .filter(({ number, text }) => number >= line.number - (end === 'not-enrolled' ? 2 : 0) && isTelling(text))
    .map(({ text }) => withoutPrefix(text));
  return { end, lines: lines.length === 0 ? [withoutPrefix(line.text)] : lines, seconds };
}

function isTelling(text: string): boolean {
  return /attest: |osguard: |BdsDxe: |IPE policy|Freezing|panic/.test(text);
}

/** `[   31.4] osguard-attest[211]: attest: …` without what comes before the message. */
function withoutPrefix(text: string): string {
  return text.replace(/^\[ *[\d.]+\] /, '').replace(/^osguard-attest(?:\[\d+\])?: /, '');
}
