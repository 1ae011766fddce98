/** The proof: boots a release and attacks it. One row an attack, with its control and the evidence. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ReleaseFolder } from '@osguard/image';
import { openFileSource } from '@osguard/image';
import type { Keyring } from '@osguard/keys';
import { makeVariableStore } from '@osguard/keys';
import { MachineError } from '../error.ts';
import type { MachineSink } from '../events.ts';
import { step } from '../events.ts';
import { firmwareVariables } from '../tools/table.ts';
import { openTools } from '../tools/open.ts';
import type { ProofContext } from './boots.ts';
import { hypervisorArgumentsBoot, mainBoot } from './boots.ts';
import { writeProofFiles } from './proof-files.ts';
import type { ProofSummary, Row } from './row.ts';
import { summarise, untestable } from './row.ts';
import type { AttackRow } from './table.ts';
import { attackRows } from './table.ts';
import { findVictim } from './victim.ts';

export interface ProveOptions {
  readonly release: ReleaseFolder;
  /** Private keys of the roles boot and layers, certificates of platform and exchange. */
  readonly keyring: Keyring;
  /** Only what one enforcing boot and the firmware can show. */
  readonly short: boolean;
  /** Only these rows. */
  readonly only?: readonly string[];
  readonly sink: MachineSink;
  readonly onRow?: (row: Row) => void;
  readonly signal?: AbortSignal;
  readonly memoryMiB?: number;
  readonly cpus?: number;
  /** Milliseconds a boot may take; 300,000 unless told otherwise. */
  readonly patience?: number;
}

export interface CleanBoot {
  /** SELinux and IPE denials before any attack. */
  readonly denials: readonly string[];
  readonly failedUnits: readonly string[];
  /** Lines of systemd-analyze. */
  readonly startup: readonly string[];
  /** Bytes. */
  readonly memoryUsed: number;
  /** All that the host reported of itself. */
  readonly facts: Readonly<Record<string, unknown>>;
}

export interface ProofReport {
  readonly release: { readonly name: string; readonly version: string; readonly rootHash: string };
  readonly checks: readonly Row[];
  readonly summary: ProofSummary;
  readonly cleanBoot?: CleanBoot;
}

/** @throws MachineError when a machine could not be started at all; attacks that cannot be made are untestable rows. */
export async function prove(options: ProveOptions): Promise<ProofReport> {
  const { release, keyring, sink, signal, onRow = () => undefined } = options;
  const started = performance.now();
  const rows = selectRows(options);
  const tools = await openTools({ sets: ['run', 'intruder'], sink, ...(signal !== undefined && { signal }) });
  const intruder = tools.origins.get('intruder');
  if (intruder?.from !== 'tree')
    throw new MachineError('tool-missing', 'the tool set `intruder` is not a tree');
  const folder = mkdtempSync(join(tmpdir(), 'osguard-proof-'));
  try {
    const files = await step(sink, 'proof-files', {
      message: 'making the intruder, his volumes and the bad images',
      run: () =>
        writeProofFiles({
          uki: release.file('uki.efi'),
          keyring,
          intruderTree: join(intruder.tree.path, 'root'),
          folder,
        }),
    });
    const variables = join(folder, 'variables.fd');
    writeFileSync(
      variables,
      makeVariableStore(readFileSync(tools.file(firmwareVariables)), keyring, { db: release.databaseRoles }),
    );
    using disk = openFileSource(release.file('disk.raw'));
    const context: ProofContext = {
      tools,
      files,
      variables,
      disk: release.file('disk.raw'),
      rootHash: release.rootHash,
      victim: findVictim(disk, release.rootHash),
      memoryMiB: options.memoryMiB ?? 2048,
      cpus: options.cpus ?? 2,
      patience: options.patience ?? 300_000,
      sink,
      onRow,
      ...(signal !== undefined && { signal }),
    };
    const { checks, state } = await runBoots(context, rows);
    return {
      release: { name: release.name, version: release.version, rootHash: release.rootHash },
      checks,
      summary: summarise(checks, (performance.now() - started) / 1000),
      ...(state !== undefined && { cleanBoot: parseCleanBoot(state) }),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function selectRows({ short, only }: ProveOptions): readonly AttackRow[] {
  const unknown = only?.find((id) => !attackRows.some((row) => row.id === id));
  if (unknown !== undefined) {
    throw new MachineError('bad-option', `there is no attack ${unknown}`, {
      hint: `attacks: ${attackRows.map(({ id }) => id).join(', ')}`,
    });
  }
  return attackRows.filter((row) => (only === undefined ? !short || row.short : only.includes(row.id)));
}

interface BootResults {
  readonly checks: readonly Row[];
  readonly state?: string;
}

async function runBoots(context: ProofContext, rows: readonly AttackRow[]): Promise<BootResults> {
  const done = new Map<string, Row>();
  const record = (row: Row): void => {
    done.set(row.id, row);
  };
  let state: string | undefined;
  try {
    ({ state } = await mainBoot({ ...context, onRow: (row) => (record(row), context.onRow(row)) }, rows));
    const smbios = rows.find(({ id }) => id === 'cmdline-smbios');
    if (smbios !== undefined) {
      const row = await hypervisorArgumentsBoot(context, smbios);
      record(row);
      context.onRow(row);
    }
  } catch (error) {
    if (!(error instanceof MachineError) || error.code === 'aborted') throw error;
    for (const row of rows) {
      if (done.has(row.id)) continue;
      const missed = untestable(row, error.message);
      record(missed);
      context.onRow(missed);
    }
  }
  const checks = rows.map(
    (row) => done.get(row.id) ?? untestable(row, 'no boot of this proof makes this attack'),
  );
  return { checks, ...(state !== undefined && { state }) };
}

function parseCleanBoot(text: string): CleanBoot {
  const facts = JSON.parse(text) as Readonly<Record<string, unknown>>;
  const list = (name: string): readonly string[] => {
    const value = facts[name];
    return Array.isArray(value) ? value.map(String) : [];
  };
  return {
    denials: list('denials'),
    failedUnits: list('failed'),
    startup: list('startup'),
    memoryUsed: Number(facts['memoryUsed']),
    facts,
  };
}
