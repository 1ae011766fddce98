/** What this computer can do for osguard, found by trying rather than by looking. Nothing is installed or changed. */

import { accessSync, constants, existsSync, mkdirSync, readFileSync, statfsSync } from 'node:fs';
import { availableParallelism, freemem, totalmem, userInfo } from 'node:os';
import { dirname } from 'node:path';

import { run } from '../process/run.ts';
import { examineHost, findProgram } from '../tools/host.ts';
import type { HostState } from '../tools/host.ts';
import { findMirrors, readAptFacts } from '@osguard/image/apt';
import { cacheFolder, existingTree, openTools } from '../tools/open.ts';
import { suite, toolSets } from '../tools/table.ts';
import type { Tree } from '../tools/tree.ts';
import { chooseAccelerator } from '../vm/accelerator.ts';
import type { Finding } from './finding.ts';

export interface ExamineOptions {
  /** Cache folder of osguard; `$XDG_CACHE_HOME/osguard` when absent. */
  readonly cache?: string;
  readonly mirror?: string;
}

const gibibyte = 1024 ** 3;

/** Examines everything at once; never throws. */
export async function examineMachine(options: ExamineOptions = {}): Promise<Finding[]> {
  const cache = options.cache ?? cacheFolder();
  const host = await examineHost(toolSets.run);
  const tree = existingTree('run', cache);
  const ways = { host, tree };
  const examinations: Promise<Finding | readonly Finding[]>[] = [
    examineAccelerator(cache, ways),
    Promise.resolve(programFindings(ways)),
    examineMirror(options.mirror, ways),
    examineBuilder(),
    examineNamespaces(),
    Promise.resolve([examineSubordinateIds(), examineCache(cache), examineMemory(), examineNode()]),
  ];
  return (await Promise.all(examinations)).flat();
}

interface Ways {
  readonly host: HostState;
  readonly tree: Tree | undefined;
}

async function examineAccelerator(cache: string, { host, tree }: Ways): Promise<Finding> {
  if (!existsSync('/dev/kvm'))
    return {
      id: 'kvm',
      state: 'degraded',
      found: 'no /dev/kvm',
      meaning: 'virtual machines run under emulation (TCG): a boot takes about a minute instead of seconds',
    };
  if (!host.ok && tree === undefined)
    return {
      id: 'kvm',
      state: 'degraded',
      found: '/dev/kvm is there, not tried yet',
      meaning: 'whether it boots machines is tried when the tools are there',
    };
  try {
    const answer = await chooseAccelerator(await openTools({ sets: ['run'], cache }), cache);
    if (answer.accelerator === 'kvm')
      return { id: 'kvm', state: 'ok', found: answer.reason, meaning: 'virtual machines run at full speed' };
    const meaning =
      'virtual machines run under emulation (TCG): a boot takes about a minute instead of seconds';
    const mend = answer.denied
      ? { mend: `sudo usermod -aG kvm ${userInfo().username}  # then log in again` }
      : {};
    return { id: 'kvm', state: 'degraded', found: answer.reason, meaning, ...mend };
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    return { id: 'kvm', state: 'missing', found, meaning: 'virtual machines cannot be started' };
  }
}

/** One finding each for QEMU, firmware and TPM, which come together from the host or from a tree. */
function programFindings({ host, tree }: Ways): Finding[] {
  const packageOf: Readonly<Record<string, string>> = {
    'qemu-system-x86_64': 'qemu-system-x86',
    'qemu-img': 'qemu-utils',
    swtpm: 'swtpm',
  };
  const finding = (id: string, onHost: string, packageName: string): Finding => {
    if (host.ok)
      return { id, state: 'ok', found: `${onHost} of this machine`, meaning: 'virtual machines use it' };
    const version = tree?.packages[packageName];
    if (version !== undefined && tree !== undefined)
      return {
        id,
        state: 'ok',
        found: `${packageName} ${version} in ${tree.path}; on this machine: ${onHost}`,
        meaning: `virtual machines use the one of the tools tree`,
      };
    return {
      id,
      state: 'degraded',
      found: `on this machine: ${onHost}`,
      meaning: `fetched from Debian ${suite} when a machine is first started (about 50 MB, no root needed)`,
    };
  };
  const programs = host.programs.map((program) => {
    const seen =
      program.path === undefined ? 'none' : `${program.path} ${program.version ?? 'without version'}`;
    const old = program.path !== undefined && !program.ok ? ` (needs ${program.atLeast})` : '';
    return finding(program.program, seen + old, packageOf[program.program] ?? program.program);
  });
  const files = toolSets.run.hostFiles;
  const missing = host.missingFiles.length === 0 ? files.join(', ') : `no ${host.missingFiles.join(', ')}`;
  return [...programs, finding('ovmf', missing, 'ovmf')];
}

async function examineMirror(override: string | undefined, { host, tree }: Ways): Promise<Finding> {
  try {
    const { main } = findMirrors(await readAptFacts(), override);
    const keys = main.signedBy === undefined ? "apt's trusted keys" : (main.signedBy.split('\n')[0] ?? '');
    return {
      id: 'mirror',
      state: 'ok',
      found: `${main.uri}, verified with ${keys}`,
      meaning: 'packages of images and tools come from there',
    };
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    const needed =
      host.ok || tree !== undefined ? 'images cannot be built' : 'neither tools nor images can be fetched';
    return { id: 'mirror', state: 'missing', found, meaning: `${needed} without the option --mirror` };
  }
}

async function examineBuilder(): Promise<Finding> {
  const [builder] = (await examineHost(toolSets.build)).programs;
  if (builder?.ok === true)
    return {
      id: 'mmdebstrap',
      state: 'ok',
      found: `${builder.path} ${builder.version}`,
      meaning: 'images can be built',
    };
  return {
    id: 'mmdebstrap',
    state: 'missing',
    found:
      builder?.path === undefined
        ? 'not installed'
        : `${builder.version} is too old (needs ${builder.atLeast})`,
    meaning: 'images cannot be built; ready ones can be booted and verified',
    mend: 'sudo apt-get install mmdebstrap',
  };
}

async function examineNamespaces(): Promise<Finding> {
  const id = 'user-namespaces';
  const root = process.getuid?.() === 0;
  try {
    const result = await run({ file: 'unshare', args: ['-Urm', 'true'], env: {} }, { timeoutMs: 10_000 });
    if (result.status === 0)
      return {
        id,
        state: 'ok',
        found: 'unshare -Urm works',
        meaning: 'images are built without root rights',
      };
    const found = `unshare -Urm: ${result.stderr.trim()}`;
    if (root) return { id, state: 'ok', found, meaning: 'not needed: osguard runs as root here' };
    const limited = [
      '/proc/sys/kernel/apparmor_restrict_unprivileged_userns',
      '/proc/sys/kernel/unprivileged_userns_clone',
    ]
      .filter((path) => existsSync(path))
      .map((path) => path.slice('/proc/sys/'.length).replaceAll('/', '.'));
    const fix = limited.map((key) => `${key}=${key.endsWith('clone') ? 1 : 0}`).join(' ');
    return {
      id,
      state: 'missing',
      found,
      meaning: 'images can be built by root only',
      mend: `sudo sysctl -w ${fix === '' ? 'user.max_user_namespaces=15000' : fix}`,
    };
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    return {
      id,
      state: 'missing',
      found,
      meaning: 'images can be built by root only',
      mend: 'sudo apt-get install util-linux',
    };
  }
}

/** mmdebstrap maps a whole range of ids inside its namespace (subuid(5), newuidmap(1)). */
function examineSubordinateIds(): Finding {
  const id = 'subordinate-ids';
  if (process.getuid?.() === 0)
    return { id, state: 'ok', found: 'running as root', meaning: 'not needed: root builds without them' };
  const { username, uid } = userInfo();
  const ranged = (path: string): boolean => {
    if (!existsSync(path)) return false;
    const ours = readFileSync(path, 'utf8')
      .split('\n')
      .map((line) => line.split(':'));
    return ours.some(
      ([who, , count]) => (who === username || who === String(uid)) && Number(count) >= 65_536,
    );
  };
  const meaning = 'images can be built by root only';
  if (!ranged('/etc/subuid') || !ranged('/etc/subgid')) {
    const mend = `sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${username}`;
    return { id, state: 'missing', found: `no range of 65536 ids for ${username}`, meaning, mend };
  }
  if (findProgram('newuidmap') === undefined)
    return {
      id,
      state: 'missing',
      found: 'newuidmap is not installed',
      meaning,
      mend: 'sudo apt-get install uidmap',
    };
  return {
    id,
    state: 'ok',
    found: `/etc/subuid and /etc/subgid name ${username}`,
    meaning: 'images are built without root rights',
  };
}

function examineCache(cache: string): Finding {
  const id = 'cache';
  const needed = 4;
  try {
    mkdirSync(cache, { recursive: true });
    accessSync(cache, constants.W_OK);
  } catch {
    const mend = `export XDG_CACHE_HOME=/path/with/space  # or make ${dirname(cache)} writable`;
    return {
      id,
      state: 'missing',
      found: `${cache} is not writable`,
      meaning: 'nothing can be fetched',
      mend,
    };
  }
  const { bavail, bsize } = statfsSync(cache);
  const free = (bavail * bsize) / gibibyte;
  const found = `${cache}, ${free.toFixed(1)} GiB free`;
  if (free >= needed) return { id, state: 'ok', found, meaning: 'room for packages, tools and images' };
  const mend = 'export XDG_CACHE_HOME=/path/with/space';
  return { id, state: 'degraded', found, meaning: `a build may need up to ${needed} GiB`, mend };
}

/** MemAvailable of proc(5): free memory and what the kernel would give up for us. */
function availableMemory(): number {
  const match = /^MemAvailable:\s+(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'utf8'));
  return match === null ? freemem() : Number(match[1]) * 1024;
}

function examineMemory(): Finding {
  const available = availableMemory() / gibibyte;
  const found = `${available.toFixed(1)} of ${(totalmem() / gibibyte).toFixed(1)} GiB available, ${availableParallelism()} cores`;
  if (available >= 3) return { id: 'memory', state: 'ok', found, meaning: 'enough for a machine of 2 GiB' };
  return {
    id: 'memory',
    state: 'degraded',
    found,
    meaning: 'a machine of 2 GiB and its emulator need 3 GiB',
  };
}

function examineNode(): Finding {
  const found = `Node ${process.versions.node}, ${process.arch}`;
  const major = Number(process.versions.node.split('.')[0]);
  if (major >= 24) return { id: 'node', state: 'ok', found, meaning: 'runs osguard' };
  return { id: 'node', state: 'missing', found, meaning: 'osguard needs Node 24', mend: 'npm ci' };
}
