/**
 * Work as root in a root of its own, through mmdebstrap(1): as root by chroot, otherwise in a user namespace. Only
 * streams go in and out, so that no file of the caller needs to be readable inside and no path enters the result.
 */

import { spawn } from 'node:child_process';
import type { ChildProcess, StdioOptions } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { EventSink } from '@osguard/events';

import { ImageError } from '../error.ts';
import { ended, lines, toolEnvironment, toolFailed } from '../process/run.ts';
import { quote } from './script.ts';

export interface NamespaceJob {
  /** Archives unpacked into the root one after the other, each before its script runs. */
  readonly stages: readonly NamespaceStage[];
  /** Seconds since 1970; SOURCE_DATE_EPOCH of the scripts. */
  readonly time: number;
  /** Folder for the root while it is being worked on; `$TMPDIR` or /tmp when absent. */
  readonly temporary?: string | undefined;
  readonly sink?: EventSink | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called when the output of a stage is complete, with the index of the stage. */
  readonly onOutput?: (index: number) => void;
}

export interface NamespaceStage {
  readonly archive: AsyncIterable<Uint8Array>;
  /** Path in the root of a shell script to run there, or none. */
  readonly script?: string | undefined;
  /** File that receives the root as a tar archive when the stage is done. */
  readonly output?: string | undefined;
  /** Removed before the archive is written. Paths in the root. */
  readonly remove?: readonly string[];
}

const hint = 'sudo apt-get install mmdebstrap uidmap';

/** Not part of any image, and partly not even files. */
const notArchived = ['./proc/*', './sys/*', './dev/*', './run/*', './tmp/*'];

/** Runs the stages in order. @throws ImageError `tool-failed` with the last output, `tool-missing` */
export async function runInNamespace(job: NamespaceJob): Promise<void> {
  const { signal, sink } = job;
  const isRoot = process.getuid?.() === 0;
  // Descriptors: 0 the archive of the first stage, 2 messages, from 3 on one in and one out for each stage.
  const stdio: StdioOptions = [
    'ignore',
    'ignore',
    'pipe',
    ...job.stages.flatMap((): ['pipe', 'pipe'] => ['pipe', 'pipe']),
  ];
  const args = [
    `--mode=${isRoot ? 'root' : 'unshare'}`,
    '--variant=custom',
    '--skip=setup,update,cleanup,check',
    '--format=null',
    ...job.stages.flatMap((stage, index) => hooks(stage, index, job.time)),
    '',
    '-',
    // mmdebstrap wants a source of packages; it is never asked for one.
    'deb [trusted=yes] copy:/nonexistent ./',
  ];
  const temporary = job.temporary === undefined ? {} : { TMPDIR: job.temporary };
  const child = spawn('mmdebstrap', args, { env: toolEnvironment(temporary), stdio });
  const output: string[] = [];
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    output.push(text);
    if (output.length > 500) output.splice(0, 250);
  });
  lines(child, 'mmdebstrap', sink);
  const status = ended(child, { file: 'mmdebstrap', signal, hint });
  const streams = Promise.allSettled(
    job.stages.flatMap((stage, index) => connect(child, stage, { index, onOutput: job.onOutput })),
  );
  const code = await status;
  const results = await streams;
  if (code !== 0) throw explain(code, output.join(''), isRoot);
  const broken = results.find((result) => result.status === 'rejected');
  if (broken !== undefined) throw broken.reason;
}

interface Connect {
  readonly index: number;
  readonly onOutput: NamespaceJob['onOutput'];
}

function connect(child: ChildProcess, stage: NamespaceStage, { index, onOutput }: Connect): Promise<void>[] {
  const input = child.stdio[3 + 2 * index];
  const output = child.stdio[4 + 2 * index];
  if (!(input instanceof Writable) || !(output instanceof Readable))
    throw new TypeError('no pipes to the namespace');
  const kill = (error: unknown): never => {
    // Without its input the child would wait for ever.
    child.kill('SIGTERM');
    throw error;
  };
  const fed = pipeline(stage.archive, input).catch(kill);
  if (stage.output === undefined) return [fed, pipeline(output, discard)];
  const drain = async (file: string): Promise<void> => {
    await pipeline(output, createWriteStream(file));
    onOutput?.(index);
  };
  return [fed, drain(stage.output).catch(kill)];
}

async function discard(source: AsyncIterable<unknown>): Promise<void> {
  for await (const chunk of source) void chunk;
}

/**
 * The first stage is unpacked in the setup hook, because mmdebstrap mounts /proc, /sys and /dev between the two
 * kinds of hooks, and only into folders that exist.
 */
function hooks(stage: NamespaceStage, index: number, time: number): string[] {
  const input = 3 + 2 * index;
  const output = input + 1;
  const unpack = `${tarExtract} <&${input}`;
  const script = stage.script === undefined ? [] : [inRoot(stage.script, time)];
  const remove = (stage.remove ?? []).map((path) => `rm -rf -- "$1"/${quote(path)}`);
  const pack = stage.output === undefined ? [] : [`${tarCreate} >&${output}`];
  const close = [`exec ${output}>&-`];
  const work = [...script, ...remove, ...pack, ...close];
  if (index > 0) return [`--customize-hook=${shell([unpack, ...work])}`];
  return [
    `--setup-hook=${shell([unpack, 'mkdir -p "$1"/proc "$1"/sys "$1"/dev'])}`,
    `--customize-hook=${shell(work)}`,
  ];
}

function shell(steps: readonly string[]): string {
  return ['set -eu', ...steps].join('\n');
}

/** The environment is emptied: what a maintainer script sees must not depend on who builds. */
function inRoot(script: string, time: number): string {
  const env = [
    'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
    'HOME=/root',
    'LC_ALL=C.UTF-8',
    'TZ=UTC',
    'DEBIAN_FRONTEND=noninteractive',
    'DEBCONF_NONINTERACTIVE_SEEN=true',
    'SYSTEMD_OFFLINE=1',
    `SOURCE_DATE_EPOCH=${time}`,
  ].join(' ');
  return `umask 022; env -i ${env} chroot "$1" /bin/sh /${script} </dev/null >&2`;
}

const tarExtract = [
  'tar --extract --file=- --directory="$1"',
  '--preserve-permissions --same-owner --numeric-owner --delay-directory-restore',
  '--keep-directory-symlink --keep-old-files',
  "--xattrs --xattrs-include='*'",
].join(' ');

const tarCreate = [
  'tar --create --file=- --directory="$1" --format=posix --sort=name --numeric-owner --one-file-system',
  "--xattrs --xattrs-include='*' --xattrs-exclude='security.selinux'",
  '--pax-option=delete=atime,delete=ctime',
  ...notArchived.map((pattern) => `--exclude='${pattern}'`),
  '.',
].join(' ');

function explain(code: number, output: string, isRoot: boolean): ImageError {
  const failed = toolFailed('mmdebstrap', code, output);
  if (isRoot || !/newuidmap|newgidmap|subuid|subgid|unshare|user namespace/i.test(output)) return failed;
  return new ImageError(
    'tool-missing',
    `packages cannot be installed without root here:\n${failed.message}`,
    {
      hint: 'osguard doctor says what user namespaces need; or build as root',
      cause: failed,
    },
  );
}
