/**
 * Work as root in a root of its own, through mmdebstrap(1): as it is when the caller is root, otherwise in a user
 * namespace. Only streams go in and out, so that no file of the caller needs to be readable inside and no path of
 * the build host enters the result. What runs inside has no network.
 */

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { TarReader } from '@osguard/formats/tar';
import { createTarReader } from '@osguard/formats/tar';

import { ImageError } from '../error.ts';
import { ended, lines, toolEnvironment, toolFailed } from '../process/run.ts';
import type { NamespaceJob, NamespaceStage } from './namespace-job.ts';
import { firstDescriptor, namespaceScript } from './script.ts';

/** Between the request to end and the order to. Milliseconds. */
const patience = 2000;
const hint = 'sudo apt-get install mmdebstrap uidmap';

/** Runs the stages in order. @throws ImageError `tool-failed` with the last output, `tool-missing` */
export async function runInNamespace(job: NamespaceJob): Promise<void> {
  const { signal, sink, stages } = job;
  const isRoot = process.getuid?.() === 0;
  const script = namespaceScript(job);
  const args = [
    `--mode=${isRoot ? 'root' : 'unshare'}`,
    '--quiet',
    '--variant=custom',
    '--skip=setup,update,cleanup,check',
    '--format=null',
    `--setup-hook=${script}`,
    '',
    '-',
    // mmdebstrap wants a source of packages; it is never asked for one.
    'deb [trusted=yes] copy:/nonexistent ./',
  ];
  const temporary = job.temporary === undefined ? {} : { TMPDIR: job.temporary };
  const child = spawn('mmdebstrap', args, {
    env: toolEnvironment(temporary),
    // A process group of its own, so that it can be ended whole.
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe', ...stages.flatMap((): ['pipe', 'pipe'] => ['pipe', 'pipe'])],
  });
  const output: string[] = [];
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    output.push(text);
    if (output.length > 500) output.splice(0, 250);
  });
  lines(child, 'mmdebstrap', sink);
  let insisting: NodeJS.Timeout | undefined;
  // The whole group: a package's script would go on without its parents.
  const kill = (): void => {
    const { pid } = child;
    if (pid === undefined || child.exitCode !== null) return;
    sendSignal(-pid, 'SIGTERM');
    // semodule ignores that. mmdebstrap itself is left to clean up.
    insisting ??= setInterval(() => {
      for (const member of membersOf(pid)) sendSignal(member, 'SIGKILL');
    }, patience).unref();
  };
  const broken: unknown[] = [];
  const streams = stages.map(async (stage, index) => {
    try {
      await connect(child, stage, { index, onOutput: job.onOutput });
    } catch (error) {
      broken.push(error);
      // Without its input the child would wait for ever.
      kill();
    }
  });
  try {
    const code = await ended(child, { file: 'mmdebstrap', signal, hint, kill });
    if (code !== 0) throw explain(code, output.join('').replaceAll(script, 'the script above'), isRoot);
  } catch (error) {
    // What broke on our side explains the end of the child, unless it is a pipe that broke because the child ended.
    throw signal?.aborted === true ? error : (broken.find((cause) => cause instanceof ImageError) ?? error);
  } finally {
    clearInterval(insisting);
  }
  await Promise.all(streams);
  if (broken.length > 0) throw broken[0];
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended meanwhile, or is another user's inside the namespace.
  }
}

/** Processes of the group but for its leader. */
function membersOf(group: number): readonly number[] {
  return readdirSync('/proc').flatMap((name) => {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === group) return [];
    try {
      // Behind the name in brackets: state, parent, process group (proc_pid_stat(5)).
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]) === group ? [pid] : [];
    } catch {
      return [];
    }
  });
}

interface Connect {
  readonly index: number;
  readonly onOutput: NamespaceJob['onOutput'];
}

async function connect(
  child: ChildProcess,
  stage: NamespaceStage,
  { index, onOutput }: Connect,
): Promise<void> {
  const input = child.stdio[firstDescriptor + 2 * index];
  const output = child.stdio[firstDescriptor + 2 * index + 1];
  if (!(input instanceof Writable) || !(output instanceof Readable))
    throw new TypeError('no pipes to the namespace');
  const taken =
    stage.output === undefined
      ? pipeline(output, discard)
      : drain(output, stage.output, () => onOutput?.(index));
  await Promise.all([pipeline(stage.archive, input), taken]);
}

/**
 * Writes the archive to a file. Its end is seen by its end mark, because processes around the script hold the pipe
 * open for as long as the later stages run.
 */
async function drain(output: AsyncIterable<Buffer>, path: string, onWhole: () => void): Promise<void> {
  const reader = createTarReader({ entry: ignore, data: ignore, entryEnd: ignore });
  const file = await open(path, 'wx');
  try {
    let whole = false;
    for await (const chunk of output) {
      await file.writev([chunk]);
      reader.push(chunk);
      if (whole || !isWhole(reader)) continue;
      whole = true;
      onWhole();
    }
    reader.end();
    // Whoever renames it relies on it after a crash.
    await file.sync();
  } finally {
    await file.close();
  }
}

function isWhole(reader: TarReader): boolean {
  try {
    reader.end();
    return true;
  } catch {
    return false;
  }
}

function ignore(): void {
  // Only whether the archive is whole matters here.
}

async function discard(source: AsyncIterable<unknown>): Promise<void> {
  for await (const chunk of source) void chunk;
}

function explain(code: number, output: string, isRoot: boolean): ImageError {
  const said = output
    .split('\n')
    .filter(
      (line) => !/^I: |warning: ignoring pre-dependency problem|^E: command failed|share\/man/.test(line),
    )
    .join('\n');
  const failed = toolFailed('mmdebstrap', code, said);
  if (isRoot || !/new[ug]idmap|\/etc\/sub[ug]id|unshare|user namespace/i.test(output)) return failed;
  return new ImageError(
    'tool-missing',
    `packages cannot be installed without root here:\n${failed.message}`,
    {
      hint: 'osguard doctor says what user namespaces need; or build as root',
      cause: failed,
    },
  );
}
