/**
 * Credentials as docker, podman and skopeo keep them: `config.json` with `auths`, `credHelpers` and `credsStore`
 * (docker CLI documentation, "Credential stores"), and podman's `auth.json` of the same shape.
 */

import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { FormatError } from '@osguard/formats/bytes';
import { Fields, parseDocument } from '@osguard/formats/oci';
import { LayerError } from '../error.ts';
import { Secret } from './secret.ts';

export type Credentials =
  | { readonly kind: 'password'; readonly username: string; readonly password: Secret }
  /** A refresh token of the registry's token server. */
  | { readonly kind: 'identity-token'; readonly token: Secret }
  /** A token the registry takes as it is. */
  | { readonly kind: 'registry-token'; readonly token: Secret };

export interface CredentialOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Read instead of those the environment leads to. */
  readonly files?: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

/** What the files call Docker Hub. */
const hub = 'https://index.docker.io/v1/';
/** Milliseconds; helpers may ask a person to unlock a key store. */
const helperPatience = 60_000;

/**
 * For a registry (host with port, `docker.io`) and a repository there. The first file that has an answer wins.
 *
 * @throws LayerError `input` for a broken file, `credential-helper`.
 */
export async function findCredentials(
  where: { readonly registry: string; readonly repository: string },
  options: CredentialOptions = {},
): Promise<Credentials | undefined> {
  const env = options.env ?? process.env;
  for (const file of options.files ?? configFiles(env)) {
    const fields = await readConfig(file);
    if (fields === undefined) continue;
    const found = await fromConfig(fields, { ...where, file, env, signal: options.signal });
    if (found !== undefined) return found;
  }
  return undefined;
}

/** In the order they are asked. */
function configFiles(env: Readonly<Record<string, string | undefined>>): readonly string[] {
  const home = env['HOME'] ?? homedir();
  const runtime = env['XDG_RUNTIME_DIR'];
  if (env['REGISTRY_AUTH_FILE'] !== undefined) return [env['REGISTRY_AUTH_FILE']];
  return [
    join(env['DOCKER_CONFIG'] ?? join(home, '.docker'), 'config.json'),
    ...(runtime === undefined ? [] : [join(runtime, 'containers', 'auth.json')]),
    join(env['XDG_CONFIG_HOME'] ?? join(home, '.config'), 'containers', 'auth.json'),
  ];
}

async function readConfig(file: string): Promise<Fields | undefined> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(file);
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) {
      return undefined;
    }
    throw error;
  }
  try {
    return new Fields(parseDocument(bytes, file), file);
  } catch (cause) {
    throw broken(file, cause);
  }
}

interface Lookup {
  readonly registry: string;
  readonly repository: string;
  readonly file: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal | undefined;
}

async function fromConfig(config: Fields, lookup: Lookup): Promise<Credentials | undefined> {
  try {
    const { registry } = lookup;
    const server = registry === 'docker.io' ? hub : registry;
    const helpers = config.textMap('credHelpers');
    const helper = helpers.get(registry) ?? helpers.get(server) ?? config.optionalText('credsStore');
    if (helper !== undefined && helper !== '') {
      const found = await askHelper(helper, server, lookup);
      if (found !== undefined) return found;
    }
    return fromAuths(config, lookup);
  } catch (cause) {
    if (cause instanceof FormatError) throw broken(lookup.file, cause);
    throw cause;
  }
}

/** Keys are hosts, hosts with a path (podman: most specific first), or URLs (docker). */
function fromAuths(config: Fields, { registry, repository }: Lookup): Credentials | undefined {
  const auths = new Fields(config.get('auths') ?? {}, config.where('auths'));
  const parts = repository.split('/');
  const scoped = parts.map((_, index) => [registry, ...parts.slice(0, parts.length - index)].join('/'));
  const hosts =
    registry === 'docker.io' ? ['docker.io', 'index.docker.io', 'registry-1.docker.io'] : [registry];
  const urls = hosts.flatMap((host) =>
    ['', '/', '/v1/', '/v2/', '/v1', '/v2'].map((path) => `https://${host}${path}`),
  );
  const plain = registry === 'docker.io' ? [] : [`http://${registry}`, `http://${registry}/`];
  for (const key of [...scoped, ...hosts, ...urls, ...plain]) {
    const entry = auths.get(key);
    if (entry === undefined) continue;
    const found = fromEntry(new Fields(entry, auths.where(key)));
    if (found !== undefined) return found;
  }
  return undefined;
}

function fromEntry(entry: Fields): Credentials | undefined {
  const identity = entry.optionalText('identitytoken');
  if (identity !== undefined && identity !== '')
    return { kind: 'identity-token', token: new Secret(identity) };
  const token = entry.optionalText('registrytoken');
  if (token !== undefined && token !== '') return { kind: 'registry-token', token: new Secret(token) };
  const auth = entry.optionalText('auth');
  const decoded = auth === undefined ? '' : Buffer.from(auth, 'base64').toString('utf8').replace(/\0+$/, '');
  const colon = decoded.indexOf(':');
  const username = colon > 0 ? decoded.slice(0, colon) : entry.optionalText('username');
  const password = colon > 0 ? decoded.slice(colon + 1) : entry.optionalText('password');
  if (username === undefined || username === '' || password === undefined) return undefined;
  return { kind: 'password', username, password: new Secret(password) };
}

/** Protocol of docker-credential-helpers: the server on stdin, a JSON answer on stdout. */
async function askHelper(helper: string, server: string, lookup: Lookup): Promise<Credentials | undefined> {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(helper)) {
    throw new LayerError(
      'input',
      `${lookup.file}: ${JSON.stringify(helper)} is no name of a credential helper`,
    );
  }
  const command = `docker-credential-${helper}`;
  const { status, output } = await runHelper(command, server, lookup);
  if (status !== 0) {
    if (/credentials not found|no credentials/i.test(output)) return undefined;
    // What a helper prints on failure is a message for people; still, its length is nobody's promise.
    throw new LayerError('credential-helper', `${command} get ${server}: ${output.trim().slice(0, 200)}`, {
      hint: `docker login ${lookup.registry}`,
    });
  }
  const answer = new Fields(parseDocument(Buffer.from(output), command), command);
  const username = answer.optionalText('Username') ?? '';
  const secret = answer.optionalText('Secret') ?? '';
  if (username === '' && secret === '') return undefined;
  if (username === '<token>') return { kind: 'identity-token', token: new Secret(secret) };
  return { kind: 'password', username, password: new Secret(secret) };
}

async function runHelper(
  command: string,
  server: string,
  { env, signal }: Lookup,
): Promise<{ readonly status: number | null; readonly output: string }> {
  const child = spawn(command, ['get'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...env },
    // Unlike spawn's own timeout, this one keeps nobody waiting when the helper cannot be started.
    signal: AbortSignal.any([AbortSignal.timeout(helperPatience), ...(signal === undefined ? [] : [signal])]),
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  // A helper that ends without reading its input is judged by its status.
  child.stdin.on('error', () => undefined);
  child.stdin.end(server);
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (output.length < 1024 * 1024) output += text;
  });
  try {
    return { status: await ended, output };
  } catch (cause) {
    signal?.throwIfAborted();
    throw new LayerError('credential-helper', `${command}: cannot be started`, {
      hint: 'install it, or take it out of credsStore and credHelpers in the docker config.json',
      cause,
    });
  }
}

function broken(file: string, cause: unknown): LayerError {
  return new LayerError('input', `${file}: ${cause instanceof Error ? cause.message : String(cause)}`, {
    hint: 'it has to be a docker config.json',
    cause,
  });
}
