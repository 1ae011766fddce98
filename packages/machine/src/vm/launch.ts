/** Starts QEMU and its TPM for one machine with a given accelerator and hands back control of both. */

import {
  copyFileSync,
  createWriteStream,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Duplex } from 'node:stream';

import { MachineError } from '../error.ts';
import { startChild } from '../process/child.ts';
import type { Child } from '../process/child.ts';
import { firmwareCode, firmwareVariables } from '../tools/table.ts';
import { prepareDisks } from './disks.ts';
import { LineStream } from './line-stream.ts';
import type { Accelerator, MachineOptions } from './options.ts';
import { qemuArguments } from './qemu-args.ts';
import { Qmp } from './qmp.ts';
import { startTpm } from './swtpm.ts';

export interface MachineExit {
  /**
   * QEMU's word for why: `guest-shutdown`, `guest-reset`, `host-qmp-quit`, `host-signal`…; `crashed` when QEMU ended
   * without saying.
   */
  readonly reason: string;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** What QEMU printed as errors. */
  readonly errors: string;
}

export interface Machine extends AsyncDisposable {
  /** The first serial line. */
  readonly console: LineStream;
  /** All serial lines, the console first. */
  readonly serials: readonly LineStream[];
  readonly qmp: Qmp;
  readonly accelerator: Accelerator;
  /** Process id of QEMU. */
  readonly pid: number;
  /** Milliseconds since the start. */
  elapsed(): number;
  /** Settles when the machine has stopped; never rejects. */
  readonly exited: Promise<MachineExit>;
  /** Presses the power button and waits; after `graceMs` (default 60,000) the machine is switched off. */
  powerdown(graceMs?: number): Promise<MachineExit>;
  /** Presses the reset button. */
  reset(): Promise<void>;
  /** Switches off at once; disks that keep their writes are flushed. */
  stop(): Promise<MachineExit>;
}

/** The socket path must fit into sockaddr_un (108 bytes with the terminating NUL). */
const longestSocketPath = 107;
const runPrefix = 'osguard-vm-';

/** Starts the machine; returns when QEMU has set it up and the guest's first instruction runs. */
export async function launch(options: MachineOptions, accelerator: Accelerator): Promise<Machine> {
  if (options.signal?.aborted === true)
    throw new MachineError('aborted', 'interrupted before the machine started');
  const { tools } = options;
  const code = tools.file(firmwareCode);
  const run = makeRunFolder();
  const removeRun = (): void => rmSync(run, { recursive: true, force: true });
  process.once('exit', removeRun);
  let tpm: Child | undefined;
  let qemu: Child | undefined;
  try {
    const state = options.state === undefined ? run : resolve(options.state);
    const variables = prepareVariables(state, options);
    const disks = await prepareDisks(tools, options.disks ?? [], run);
    const firmwareConfig = new Map<string, string>();
    for (const [name, contents] of Object.entries(options.firmwareConfig ?? {})) {
      const file = join(run, `fw-${firmwareConfig.size}`);
      writeFileSync(file, contents);
      firmwareConfig.set(name, file);
    }
    const tpmSocket = options.tpm === false ? undefined : join(run, 'tpm.sock');
    if (tpmSocket !== undefined)
      tpm = await startTpm(tools, { folder: join(state, 'tpm'), socket: tpmSocket });
    const serialFds = Array.from(
      { length: checked(options.serialLines ?? 1, 1, 4) },
      (_, index) => 4 + index,
    );
    const args = qemuArguments({
      accelerator,
      memoryMiB: checked(options.memoryMiB ?? 2048, 128, 1024 * 1024),
      cpus: checked(options.cpus ?? 2, 1, 255),
      firmwareCode: code,
      variables,
      disks,
      tpmSocket,
      smbios: options.smbios ?? [],
      firmwareConfig,
      network: options.network === 'none' ? undefined : options.network,
      controlFd: 3,
      serialFds,
      onReset: options.onReset ?? 'reboot',
      kernel: options.kernel,
    });
    const started = performance.now();
    qemu = startChild(tools.command('qemu-system-x86_64', args), [
      'pipe',
      ...serialFds.map(() => 'pipe' as const),
    ]);
    const machine = control(options, { accelerator, started, qemu, serialCount: serialFds.length, tpm });
    void machine.exited.then(() => {
      process.removeListener('exit', removeRun);
      removeRun();
    });
    const failed = machine.exited.then((exit) => {
      throw new MachineError(
        'start-failed',
        `QEMU did not start the machine: ${exit.errors.trim() || exit.reason}`,
        {
          data: { args },
        },
      );
    });
    await Promise.race([machine.qmp.ready.catch(() => failed), failed]);
    failed.catch(() => undefined);
    // QEMU has them open: without a name they cannot be left behind, even when we are killed.
    for (const disk of disks) if (disk.scratch) rmSync(disk.path);
    return machine;
  } catch (error) {
    await qemu?.kill(0);
    await tpm?.kill(0);
    process.removeListener('exit', removeRun);
    removeRun();
    throw error;
  }
}

function makeRunFolder(): string {
  const bases = [tmpdir(), '/tmp'];
  const base =
    bases.find(
      (folder) => join(folder, `${runPrefix}${process.pid}-xxxxxx/tpm.sock`).length <= longestSocketPath,
    ) ?? '/tmp';
  try {
    sweep(base);
    return mkdtempSync(join(base, `${runPrefix}${process.pid}-`));
  } catch (cause) {
    throw new MachineError('not-writable', `cannot make a folder in ${base}`, {
      hint: 'name a writable folder in TMPDIR',
      cause,
    });
  }
}

/** Removes what processes that were killed more than an hour ago have left (a copy of the variables, TPM state). */
function sweep(base: string): void {
  for (const name of readdirSync(base)) {
    const pid = /^osguard-vm-(\d+)-/.exec(name)?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    try {
      const { uid, mtimeMs } = lstatSync(join(base, name));
      if (uid === process.getuid?.() && Date.now() - mtimeMs > 3_600_000)
        rmSync(join(base, name), { recursive: true });
    } catch {
      // Somebody else was faster.
    }
  }
}

/** The variable store QEMU writes to: a copy, made once for each state folder. */
function prepareVariables(state: string, options: MachineOptions): string {
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const path = join(state, 'variables.fd');
  if (existsSync(path)) return path;
  const source = options.variables ?? options.tools.file(firmwareVariables);
  if (!existsSync(source))
    throw new MachineError('bad-option', `the variable store ${source} does not exist`);
  copyFileSync(source, `${path}.new`);
  renameSync(`${path}.new`, path);
  return path;
}

function checked(number: number, least: number, most: number): number {
  if (Number.isInteger(number) && number >= least && number <= most) return number;
  throw new MachineError('bad-option', `${number} is not between ${least} and ${most}`);
}

interface Running {
  readonly accelerator: Accelerator;
  readonly started: number;
  readonly qemu: Child;
  readonly serialCount: number;
  readonly tpm: Child | undefined;
}

function control(options: MachineOptions, running: Running): Machine {
  const { qemu, tpm, started } = running;
  const elapsed = (): number => performance.now() - started;
  const socket = (index: number): Duplex => {
    const stream = qemu.process.stdio[index];
    if (stream instanceof Duplex) return stream;
    throw new MachineError('start-failed', `QEMU cannot be started: ${qemu.errors().trim()}`, {
      hint: 'sudo apt-get install util-linux',
    });
  };
  const qmp = new Qmp(socket(3));
  const serials = Array.from(
    { length: running.serialCount },
    (_, index) => new LineStream(socket(4 + index), elapsed),
  );
  const [first] = serials;
  if (first === undefined) throw new MachineError('bad-option', 'a machine needs a console');
  if (options.consoleLog !== undefined) {
    const log = createWriteStream(options.consoleLog, { flags: 'a' });
    first.onBytes((bytes) => log.write(bytes));
    void qemu.exited.then(() => log.end());
  }
  let reason: string | undefined;
  qmp.onEvent((event) => {
    const { reason: said } = event.data;
    if (event.name === 'SHUTDOWN' && typeof said === 'string') reason = said;
  });
  const onAbort = (): void => void qemu.kill(2000);
  options.signal?.addEventListener('abort', onAbort, { once: true });
  const exited = qemu.exited.then(async ({ code, signal }): Promise<MachineExit> => {
    options.signal?.removeEventListener('abort', onAbort);
    const exit = {
      reason: reason ?? (signal === null ? 'crashed' : 'killed'),
      code,
      signal,
      errors: qemu.errors(),
    };
    const why = `the machine stopped (${exit.reason})`;
    qmp.end(why);
    for (const serial of serials) serial.end(why);
    // swtpm ends by itself when QEMU closes the socket; this is for one that QEMU never reached.
    await tpm?.kill(2000);
    return exit;
  });
  const stop = async (): Promise<MachineExit> => {
    const timer = setTimeout(() => void qemu.kill(2000), 10_000);
    qmp.execute('quit').catch(() => undefined);
    const exit = await exited;
    clearTimeout(timer);
    return exit;
  };
  return {
    console: first,
    serials,
    qmp,
    accelerator: running.accelerator,
    pid: qemu.process.pid ?? 0,
    elapsed,
    exited,
    async powerdown(graceMs = 60_000) {
      const timer = setTimeout(() => void stop(), graceMs);
      // A machine that has stopped already cannot be asked, and need not be.
      await qmp.execute('system_powerdown').catch(() => undefined);
      const exit = await exited;
      clearTimeout(timer);
      return exit;
    },
    reset: async () => void (await qmp.execute('system_reset')),
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
    },
  };
}
