/** The boots of the proof. Each starts one machine, makes its rows and leaves nothing behind. */

import { rootHashPartitionIds } from '@osguard/formats/verity';
import type { RootHash } from '@osguard/formats/verity';
import { MachineError } from '../error.ts';
import type { MachineSink } from '../events.ts';
import type { Tools } from '../tools/open.ts';
import type { Machine } from '../vm/launch.ts';
import type { ConsoleLine } from '../vm/line-stream.ts';
import { startMachine } from '../vm/machine.ts';
import type { DiskOptions } from '../vm/options.ts';
import { attackArguments } from './arguments.ts';
import { Intruder } from './intruder.ts';
import { intruderSerialNumber } from './planted-initrd.ts';
import type { ProofFiles } from './proof-files.ts';
import type { Observation, Row } from './row.ts';
import { judgeRow, untestable } from './row.ts';
import type { AttackRow } from './table.ts';

export interface ProofContext {
  readonly tools: Tools;
  readonly files: ProofFiles;
  /** The release's disk image; never written. */
  readonly disk: string;
  /** Variable store with the release's keys enrolled. */
  readonly variables: string;
  readonly rootHash: RootHash;
  /** A file of /usr with a block of its own, to change a byte of. */
  readonly victim: { readonly path: string; readonly offset: number };
  readonly memoryMiB: number;
  readonly cpus: number;
  readonly sink: MachineSink;
  /** Called with every row as soon as it is decided. */
  readonly onRow: (row: Row) => void;
  readonly signal?: AbortSignal;
  /** File the console is written to as it comes. */
  readonly consoleLog?: string;
  /** Milliseconds until the intruder must have answered; TCG on a busy machine needs minutes. */
  readonly patience: number;
}

/** Only of firmware refusals: `failed to load Boot0001 "…" from PciRoot(0x0)/…: Access Denied`. */
const refusedImage =
  /BdsDxe: failed to (?:load|start) (Boot[0-9A-F]{4}) .*: (Access Denied|Security Violation)/;
const startedImage = /BdsDxe: starting (Boot[0-9A-F]{4}) /;

export interface MainBoot {
  readonly rows: readonly Row[];
  /** What the clean boot shows, as the agent's JSON text; absent when it could not be asked. */
  readonly state?: string;
}

/**
 * One boot for everything the firmware and the enforcing host can show: the firmware is offered four bad images first,
 * the hypervisor hands in a credential, then the intruder makes his attacks and, last, changes /usr below dm-verity.
 */
export async function mainBoot(context: ProofContext, rows: readonly AttackRow[]): Promise<MainBoot> {
  const { files, onRow } = context;
  const done: Row[] = [];
  const add = (row: Row): void => {
    done.push(row);
    onRow(row);
  };
  const wanted = (id: string): AttackRow | undefined => rows.find((row) => row.id === id);
  await using machine = await startProofMachine(context, {
    disks: [
      ...files.tampered.map((disk, index) => bootDisk(disk.path, index)),
      bootDisk(files.planted, files.tampered.length),
      releaseDisk(context, files.tampered.length + 1),
      {
        path: files.intruder.path,
        format: 'raw',
        writes: 'readonly',
        bootIndex: 90,
        serial: intruderSerialNumber,
      },
    ],
    smbios: [plantedCredential],
  });
  const started = await machine.console.waitFor(startedImage, { timeoutMs: context.patience });
  for (const row of firmwareRows(
    machine,
    started,
    files.tampered.map(({ id }) => id),
  )) {
    const name = wanted(row.id);
    if (name !== undefined) add({ ...row, protection: name.protection });
  }

  const intruder = new Intruder(machine);
  await intruder.ready(context.patience);
  const state = await intruder.ask('boot-state');
  const stateText = state.attempts[0]?.detail;
  const credential = wanted('credential-smbios');
  if (credential !== undefined) add(credentialRow(credential, machine, stateText));

  for (const row of rows.filter(({ stage }) => stage === 'intruder')) {
    add(await attackRow(row, intruder, attackArguments(row.id, context)));
  }
  const usrData = wanted('usr-data');
  if (usrData !== undefined) add(await changedByteRow(usrData, { machine, intruder, context }));
  return { rows: done, ...(stateText !== undefined && { state: stateText }) };
}

/** The hypervisor appends kernel arguments: the guard in the initrd must refuse to go on. */
export async function hypervisorArgumentsBoot(context: ProofContext, row: AttackRow): Promise<Row> {
  const started = performance.now();
  await using machine = await startProofMachine(context, {
    disks: [releaseDisk(context, 0)],
    smbios: ['io.systemd.stub.kernel-cmdline-extra=systemd.unit=emergency.target ipe.enforce=0'],
  });
  const line = await machine.console.waitFor(/osguard: .*command line/, {
    timeoutMs: context.patience,
    unless: /Welcome to|Reached target/,
  });
  const exit = await Promise.race([machine.exited, delay(20_000)]);
  const seen: Observation = {
    attempts: [{ succeeded: exit === undefined, detail: line.text }],
    control: { succeeded: true, detail: 'the same disk without the extra arguments boots (main boot)' },
    kernel: [line.text],
    seconds: (performance.now() - started) / 1000,
  };
  return { ...judgeRow(row, seen), evidence: line.text };
}

const plantedCredential =
  'io.systemd.credential.binary:systemd.extra-unit.smbios-intruder.service=' +
  Buffer.from(
    '[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nExecStart=/bin/true\nStandardOutput=tty\n[Install]\nWantedBy=sysinit.target\n',
  ).toString('base64');

function credentialRow(row: AttackRow, machine: Machine, state: string | undefined): Row {
  if (state === undefined) return untestable(row, 'the host did not report its state');
  const parsed: unknown = JSON.parse(state);
  const credentials =
    typeof parsed === 'object' &&
    parsed !== null &&
    'credentials' in parsed &&
    Array.isArray(parsed.credentials)
      ? parsed.credentials.map(String)
      : undefined;
  if (credentials === undefined) return untestable(row, 'the host did not report its credentials');
  const onConsole = machine.console.lines.find(({ text }) => text.includes('smbios-intruder'));
  return judgeRow(row, {
    attempts: [
      {
        succeeded: credentials.length > 0 || onConsole !== undefined,
        detail:
          onConsole?.text ??
          (credentials.length > 0
            ? `imported: ${credentials.join(', ')}`
            : 'no credential was imported, no unit started'),
      },
    ],
    control: null,
    kernel: [],
    seconds: 0,
  });
}

async function attackRow(
  row: AttackRow,
  intruder: Intruder,
  args: Readonly<Record<string, unknown>>,
): Promise<Row> {
  try {
    return judgeRow(row, await intruder.ask(row.id, { args }));
  } catch (error) {
    if (!(error instanceof MachineError) || error.code === 'machine-stopped') throw error;
    return untestable(row, error.message);
  }
}

/** The firmware tried the bad images in their order before it started the good one. */
function firmwareRows(machine: Machine, started: ConsoleLine, ids: readonly string[]): readonly Row[] {
  const refusals = machine.console.lines.filter(
    (line) => line.number < started.number && refusedImage.test(line.text),
  );
  const good = machine.console.lines.find((line) => startedImage.test(line.text));
  return ids.map((id, index) => {
    const line = refusals[index];
    const detail = line?.text ?? 'the firmware did not say that it refused this image';
    return judgeRow(
      { id, protection: '' },
      {
        attempts: [{ succeeded: line === undefined, detail }],
        control: {
          succeeded: good !== undefined,
          detail: good?.text ?? 'the signed image did not start either',
        },
        kernel: line === undefined ? [] : [line.text],
        seconds: 0,
      },
    );
  });
}

async function changedByteRow(
  row: AttackRow,
  { machine, intruder, context }: { machine: Machine; intruder: Intruder; context: ProofContext },
): Promise<Row> {
  const started = performance.now();
  const device = `/dev/disk/by-partuuid/${rootHashPartitionIds(context.rootHash).data}`;
  const { path, offset } = context.victim;
  const asked = intruder.ask('usr-data', { args: { device, offset, file: path }, timeoutMs: 60_000 });
  const corrupted = machine.console.waitFor(/verity.*(?:corrupted|data block)/, { timeoutMs: 60_000 });
  const outcome = await Promise.race([
    corrupted.then((line) => ({ line })),
    asked.then(
      (seen) => ({ seen }),
      () => ({ line: undefined }),
    ),
  ]);
  corrupted.catch(() => undefined);
  asked.catch(() => undefined);
  const seconds = (performance.now() - started) / 1000;
  if ('seen' in outcome) return judgeRow(row, outcome.seen);
  const panic = await machine.console.waitFor(/Kernel panic/, { timeoutMs: 20_000 }).catch(() => undefined);
  const text = outcome.line?.text ?? 'the machine stopped';
  return judgeRow(row, {
    attempts: [{ succeeded: panic === undefined, detail: panic?.text ?? `${text}, but the machine went on` }],
    control: { succeeded: true, detail: 'the same file was read before the change' },
    kernel: [text],
    seconds,
  });
}

interface ProofMachineOptions {
  readonly disks: readonly DiskOptions[];
  readonly smbios?: readonly string[];
}

function startProofMachine(context: ProofContext, options: ProofMachineOptions): Promise<Machine> {
  return startMachine(
    {
      tools: context.tools,
      variables: context.variables,
      memoryMiB: context.memoryMiB,
      cpus: context.cpus,
      serialLines: 2,
      disks: options.disks,
      smbios: options.smbios ?? [],
      onReset: 'exit',
      ...(context.consoleLog !== undefined && { consoleLog: context.consoleLog }),
      ...(context.signal !== undefined && { signal: context.signal }),
    },
    context.sink,
  );
}

function bootDisk(path: string, bootIndex: number): DiskOptions {
  return { path, format: 'raw', writes: 'readonly', bootIndex };
}

function releaseDisk(context: ProofContext, bootIndex: number): DiskOptions {
  return { path: context.disk, format: 'raw', writes: 'snapshot', bootIndex };
}

function delay(milliseconds: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds, undefined).unref());
}
