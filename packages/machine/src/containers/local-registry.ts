/** Debian's docker-registry on a loopback port, with a folder of its own. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MachineError } from '../error.ts';
import type { Tools } from '../tools/open.ts';

export interface LocalRegistryOptions {
  readonly tools: Tools;
  /** Made when missing. */
  readonly folder: string;
  readonly port: number;
}

export interface LocalRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
}

const longestStart = 20_000;
const pause = 100;

/** @throws MachineError `start-failed` when the port is taken, or it does not answer. */
export async function startLocalRegistry(options: LocalRegistryOptions): Promise<LocalRegistry> {
  const { tools, folder, port } = options;
  if (await answers(port)) {
    throw new MachineError('start-failed', `somebody listens on port ${port} already`, {
      hint: 'stop what listens there, or build the release with another port in layers.insecureRegistries',
    });
  }
  mkdirSync(folder, { recursive: true });
  const configuration = join(folder, 'config.yml');
  // JSON is YAML.
  const settings = {
    version: '0.1',
    log: { level: 'warn', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(folder, 'data') } },
    http: { addr: `127.0.0.1:${port}` },
  };
  writeFileSync(configuration, JSON.stringify(settings));
  const { file, args, env } = tools.command('docker-registry', ['serve', configuration]);
  const child = spawn(file, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...env, OTEL_TRACES_EXPORTER: 'none' },
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-2000)));
  const ended = once(child, 'close').catch(() => undefined);
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  const stop = async (): Promise<void> => {
    process.removeListener('exit', kill);
    child.kill();
    await ended;
  };
  const latest = performance.now() + longestStart;
  while (!(await answers(port))) {
    if (child.exitCode !== null || child.pid === undefined || performance.now() > latest) {
      await stop();
      throw new MachineError('start-failed', `docker-registry does not start: ${said.trim()}`);
    }
    await sleep(pause);
  }
  return { host: `127.0.0.1:${port}`, [Symbol.asyncDispose]: stop };
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
