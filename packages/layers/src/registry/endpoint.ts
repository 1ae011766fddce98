/** Where the API of a registry is, by which protocol, and which certificates vouch for it. */

import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { getCACertificates } from 'node:tls';
import { LayerError } from '../error.ts';
import type { HttpClient, HttpOptions } from './http.ts';
import { discard, isLoopback } from './http.ts';

const certificateFolders = ['/etc/docker/certs.d', '/etc/containers/certs.d'];

/** Docker Hub is called docker.io everywhere but in the network. */
export function apiHost(registry: string): string {
  return registry === 'docker.io' ? 'registry-1.docker.io' : registry;
}

export interface ProbeOptions {
  readonly http: HttpClient;
  /** Hosts (with port) the caller named as reachable without TLS. */
  readonly insecure: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

/** TLS where it is offered; plain HTTP only on loopback and for hosts the caller named. */
export async function findOrigin(host: string, { http, insecure, signal }: ProbeOptions): Promise<string> {
  if (!isLoopback(host) && !insecure.includes(host)) return `https://${host}`;
  try {
    discard(await http.exchange({ method: 'GET', url: new URL(`https://${host}/v2/`), headers: {}, signal }));
    return `https://${host}`;
  } catch (error) {
    // Only when what answers does not speak TLS: a certificate nobody vouches for is no reason to do without.
    if (speaksNoTls(error)) return `http://${host}`;
    throw connectionError(host, error);
  }
}

function speaksNoTls(error: unknown): boolean {
  const code = codeOf(error);
  return (
    code === 'EPROTO' ||
    code === 'ECONNRESET' ||
    code.startsWith('ERR_SSL_') ||
    code === 'HPE_INVALID_CONSTANT'
  );
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** @returns a LayerError for failures of the network, anything else as it is. */
export function connectionError(host: string, error: unknown): unknown {
  const code = codeOf(error);
  if (error instanceof LayerError || !(error instanceof Error) || code === '' || code === 'ABORT_ERR')
    return error;
  const certificate = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ALTNAME/.test(code);
  const hint = certificate
    ? `--ca FILE with the certificate of its authority, or put it into /etc/docker/certs.d/${host}/ca.crt`
    : code === 'ENOTFOUND'
      ? 'is the name right?'
      : undefined;
  return new LayerError('unreachable', `${host}: ${error.message}`, {
    cause: error,
    exitCode: 3,
    ...(hint !== undefined && { hint }),
  });
}

/**
 * Authorities of the system, those in `files`, and what /etc/docker/certs.d/HOST has: `*.crt` are authorities,
 * `NAME.cert` with `NAME.key` a client certificate (docker documentation, "Verify repository client").
 */
export async function loadTls(
  host: string,
  files: readonly string[] = [],
): Promise<NonNullable<HttpOptions['tls']>> {
  const authorities: string[] = [];
  for (const file of files) authorities.push(await readAuthority(file));
  let client: { cert: Buffer; key: Buffer } | undefined;
  for (const folder of certificateFolders) {
    const names = await list(join(folder, host));
    for (const name of names) {
      const path = join(folder, host, name);
      if (name.endsWith('.crt')) authorities.push(await readAuthority(path));
      if (name.endsWith('.cert') && client === undefined) {
        client = { cert: await readFile(path), key: await readFile(path.replace(/\.cert$/, '.key')) };
      }
    }
  }
  return {
    ...(authorities.length > 0 && { ca: [...getCACertificates('default'), ...authorities] }),
    ...client,
  };
}

async function readAuthority(file: string): Promise<string> {
  const text = await readFile(file, 'latin1');
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  throw new LayerError('input', `${file}: no certificate in PEM`);
}

async function list(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch {
    // Most hosts have no folder there.
    return [];
  }
}
