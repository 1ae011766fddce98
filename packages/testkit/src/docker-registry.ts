/** Debian's docker-registry on loopback, for one test: the distribution project's own server as a judge. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { judge } from './judge.ts';

export interface DockerRegistryOptions {
  /** A folder of the test's own. */
  readonly folder: string;
  readonly user?: { readonly name: string; readonly password: string };
  /** PEM files. */
  readonly tls?: { readonly certificate: string; readonly key: string };
}

export interface DockerRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT`, or `localhost:PORT` with TLS. */
  readonly host: string;
  /** What it has logged so far. */
  log(): string;
  /** Where a blob lies on disk, for tests that break it. `hex` is its SHA-256. */
  blobPath(hex: string): string;
}

/** Undefined without the tools: skip with {@link noDockerRegistry}. */
export function canRunDockerRegistry(): boolean {
  return judge('docker-registry') !== undefined && judge('htpasswd') !== undefined;
}

export const noDockerRegistry =
  'docker-registry and apache2-utils are not on this machine (./test installs them)';

export async function startDockerRegistry(options: DockerRegistryOptions): Promise<DockerRegistry> {
  const program = judge('docker-registry');
  if (program === undefined) throw new Error(noDockerRegistry);
  const { folder, user, tls } = options;
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  const data = join(folder, 'data');
  const config = {
    version: '0.1',
    log: { level: 'info', accesslog: { disabled: false } },
    storage: { filesystem: { rootdirectory: data }, delete: { enabled: true } },
    http: { addr: `127.0.0.1:${port}`, ...(tls !== undefined && { tls }) },
    ...(user !== undefined && {
      auth: { htpasswd: { realm: 'test', path: writePasswords(folder, user) } },
    }),
  };
  const path = join(folder, 'config.yml');
  // JSON is YAML.
  writeFileSync(path, JSON.stringify(config));
  const child = spawn(program.path, ['serve', path], { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      log += text;
    });
  }
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.kill()) await once(child, 'exit');
  };
  try {
    for (let tries = 0; !(await answers(port)); tries += 1) {
      if (tries > 200 || child.exitCode !== null) throw new Error(`docker-registry does not start: ${log}`);
      await sleep(50);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    host: `${tls === undefined ? '127.0.0.1' : 'localhost'}:${port}`,
    log: () => log,
    blobPath: (hex) => join(data, 'docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex, 'data'),
    [Symbol.asyncDispose]: stop,
  };
}

function writePasswords(folder: string, user: { readonly name: string; readonly password: string }): string {
  const tool = judge('htpasswd');
  if (tool === undefined) throw new Error(noDockerRegistry);
  const path = join(folder, 'htpasswd');
  // docker-registry takes bcrypt only.
  const { stdout } = tool.run(['-B', '-C', '4', '-i', '-n', user.name], {
    input: Buffer.from(user.password),
  });
  writeFileSync(path, stdout);
  return path;
}

/** A port nobody listens on; somebody may take it before it is used, which fails the test loudly. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
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
