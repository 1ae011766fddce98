import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ReleaseFolder } from '@osguard/image';
import type { Machine, MachineExit, Tools } from '@osguard/machine';
import type { Command, CommandContext } from '../command.ts';
import { defineCommand, flag, integer, needed, text, textOr } from '../command.ts';
import { formatDuration } from '../render/format.ts';

/** Ctrl-], as in telnet(1): everything else, Ctrl-C too, goes to the guest. */
const escapeByte = 0x1d;

export const vmRun: Command = defineCommand({
  description: `The terminal becomes the machine's serial console; Ctrl-] switches the machine off and ends the command. There is no
login and no ssh: a release lets nobody in. Only certificates are needed, no private key. Without --persist everything the
machine writes is thrown away.`,
  options: {
    keys: textOr('--keys <folder>', 'folder with the certificates to enrol', 'keys'),
    memory: integer('--memory <MiB>', 'main memory (2048)', { min: 512, max: 1_048_576 }),
    cpus: integer('--cpus <number>', 'processors (2)', { min: 1, max: 255 }),
    log: text('--console-log <file>', 'also append the console to this file'),
    persist: text('--persist <folder>', 'keep disk changes, firmware variables and TPM there'),
    network: flag('--network', 'give the machine a network behind address translation'),
    noSecureBoot: flag(
      '--no-secure-boot',
      'enrol nothing: the firmware starts whatever it finds; a release stops itself then',
    ),
  },
  args: { release: needed('<release>', 'release folder') },
  examples: [
    { line: 'osguard vm run out', does: 'boot it once' },
    { line: 'osguard vm run out --persist state --network', does: 'a machine that remembers' },
  ],
  async run(values, context) {
    const { openRelease } = await import('@osguard/image');
    const { openTools, startMachine } = await import('@osguard/machine');
    const { memory, cpus, log, persist } = values;
    const release = await openRelease(values.release);
    const { sink } = context;
    const tools = await openTools({ sink, signal: context.signal });
    using variables = values.noSecureBoot ? undefined : await enrolled(values.keys, { release, tools });
    await using machine = await startMachine(
      {
        tools,
        disks: [
          {
            path: release.file('disk.raw'),
            format: 'raw',
            writes: persist === undefined ? 'snapshot' : { overlay: await inFolder(persist, 'disk.qcow2') },
          },
        ],
        network: values.network ? { restrict: false, forward: [] } : 'none',
        signal: context.signal,
        ...(variables !== undefined && { variables: variables.path }),
        ...(memory !== undefined && { memoryMiB: memory }),
        ...(cpus !== undefined && { cpus }),
        ...(log !== undefined && { consoleLog: log }),
        ...(persist !== undefined && { state: persist }),
      },
      sink,
    );
    const { reason, errors } = await attach(machine, context);
    const seconds = machine.elapsed() / 1000;
    return {
      json: { reason, seconds, accelerator: machine.accelerator },
      text: (paint) =>
        [
          `\nthe machine stopped after ${formatDuration(seconds * 1000)}: ${reasonWords.get(reason) ?? reason}`,
          ...(reason === 'crashed' ? [paint.red(errors.trim())] : []),
        ].join('\n'),
    };
  },
});

const reasonWords: ReadonlyMap<string, string> = new Map([
  ['guest-shutdown', 'it switched itself off'],
  ['guest-reset', 'it asked for a reset'],
  ['guest-panic', 'its kernel panicked'],
  ['host-qmp-quit', 'it was switched off here'],
  ['host-signal', 'it was switched off here'],
]);

/** Connects console and terminal until the machine stops. */
async function attach(machine: Machine, { io, json }: CommandContext): Promise<MachineExit> {
  const output = json ? io.stderr : io.stdout;
  const decoder = new TextDecoder();
  machine.console.onBytes((bytes) => output.write(decoder.decode(bytes, { stream: true })));
  const { stdin } = process;
  const onKeys = (keys: Uint8Array): void => {
    const end = keys.indexOf(escapeByte);
    machine.console.write(end < 0 ? keys : keys.subarray(0, end));
    if (end >= 0) void machine.stop();
  };
  if (stdin.isTTY) {
    io.stderr.write('the console follows; Ctrl-] switches the machine off\n');
    stdin.setRawMode(true);
  }
  stdin.on('data', onKeys);
  // Nobody reads the console any more (`| head`): it was all this is for.
  const reader = json ? process.stderr : process.stdout;
  const onGone = (): void => void machine.stop();
  reader.once('error', onGone);
  try {
    return await machine.exited;
  } finally {
    stdin.off('data', onKeys);
    reader.off('error', onGone);
    if (stdin.isTTY) stdin.setRawMode(false);
    stdin.pause();
  }
}

interface EnrolOptions {
  readonly release: ReleaseFolder;
  readonly tools: Tools;
}

/** A variable store with the certificates of the folder, in a temporary file. */
async function enrolled(
  keys: string,
  options: EnrolOptions,
): Promise<Disposable & { readonly path: string }> {
  const { loadKeyring } = await import('@osguard/keys');
  const { enrolledVariables } = await import('@osguard/machine/prove');
  const store = enrolledVariables(await loadKeyring(keys), options);
  const folder = mkdtempSync(join(tmpdir(), 'osguard-variables-'));
  const path = join(folder, 'variables.fd');
  writeFileSync(path, store);
  return { path, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}

async function inFolder(folder: string, name: string): Promise<string> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return join(folder, name);
}
