/** A PostgreSQL of the test's own, from Debian's package, on a socket in a scratch folder. */

import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { chmodSync, chownSync, globSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { scratch } from '@osguard/testkit';

export interface Postgres extends AsyncDisposable {
  /** An empty database. */
  database(): Promise<string>;
  start(): Promise<void>;
  /** At once, as if the machine lost power. */
  stop(): Promise<void>;
}

/** Where initdb and postgres are; Debian keeps them out of PATH. */
const folder = globSync('/usr/lib/postgresql/*/bin/initdb')
  .map((path) => dirname(path))
  .sort()
  .at(-1);

const bin = (name: string): string => join(folder ?? '', name);

/** False, or why there is no PostgreSQL here. */
export const noPostgres: string | false =
  folder === undefined ? 'postgresql is not on this machine (./test installs it)' : userProblem();

interface User {
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL refuses to run as root, so root starts it as the user Debian made for it. */
function postgresUser(): User | undefined {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((each) => each.startsWith('postgres:'));
  const [, , uid, gid] = line?.split(':') ?? [];
  return uid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
}

function userProblem(): string | false {
  return process.getuid?.() === 0 && postgresUser() === undefined
    ? 'PostgreSQL does not run as root, and there is no user postgres'
    : false;
}

export async function startPostgres(): Promise<Postgres> {
  const dir = scratch('postgres');
  const user = process.getuid?.() === 0 ? postgresUser() : undefined;
  const data = dir.file('data');
  const socket = dir.file('socket');
  mkdirSync(data, { mode: 0o700 });
  mkdirSync(socket, { mode: 0o700 });
  chmodSync(dir.path, 0o755);
  if (user !== undefined) for (const path of [data, socket]) chownSync(path, user.uid, user.gid);
  const options = { cwd: data, ...user };
  const made = spawnSync(
    bin('initdb'),
    ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync'],
    {
      ...options,
      encoding: 'utf8',
    },
  );
  if (made.status !== 0) throw new Error(`initdb: ${made.stderr}`);
  const server = (): ChildProcess =>
    spawn(
      bin('postgres'),
      // Processes are killed here, never the machine: what was written is there without being synced.
      [
        '-D',
        data,
        '-k',
        socket,
        ...['listen_addresses=', 'max_connections=50', 'fsync=off'].flatMap((each) => ['-c', each]),
      ],
      {
        ...options,
        stdio: 'ignore',
      },
    );
  let running: ChildProcess | undefined;
  let databases = 0;
  const sql = (text: string): string => {
    const args = ['-h', socket, '-U', 'postgres', '-d', 'postgres', '-Atqc', text];
    const done = spawnSync(bin('psql'), args, { ...options, encoding: 'utf8' });
    return done.status === 0 ? 'ok' : done.stderr;
  };
  const self: Postgres = {
    async start() {
      running = server();
      for (let tries = 0; tries < 300; tries += 1) {
        if (sql('SELECT 1') === 'ok') return;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      throw new Error(`PostgreSQL does not start: ${sql('SELECT 1')}`);
    },
    async stop() {
      const child = running;
      running = undefined;
      if (child === undefined) return;
      const ended = new Promise((resolve) => child.once('exit', resolve));
      // SIGQUIT: immediate shutdown, recovery at the next start.
      child.kill('SIGQUIT');
      await ended;
    },
    async database() {
      databases += 1;
      const said = sql(`CREATE DATABASE t${databases}`);
      if (said !== 'ok') throw new Error(said);
      return `postgres://postgres@/t${databases}?host=${encodeURIComponent(socket)}`;
    },
    async [Symbol.asyncDispose]() {
      await self.stop();
      dir[Symbol.dispose]();
    },
  };
  try {
    await self.start();
  } catch (error) {
    await self[Symbol.asyncDispose]();
    throw error;
  }
  return self;
}
