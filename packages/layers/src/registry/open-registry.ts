/** A repository by its name, with what the environment says about credentials, authorities and mirrors. */

import type { Reference } from '@osguard/formats/oci';
import type { CredentialOptions, Credentials } from './credentials.ts';
import { findCredentials } from './credentials.ts';
import { apiHost, loadTls } from './endpoint.ts';
import { HttpClient } from './http.ts';
import { RegistryStore } from './registry-store.ts';
import type { RetryOptions } from './retry.ts';
import { Session } from './session.ts';

export interface RegistryOptions {
  /** Files with certificates of more authorities, PEM. */
  readonly ca?: readonly string[];
  /** Hosts (with port) that may be talked to without TLS; loopback always may. */
  readonly insecure?: readonly string[];
  /** By registry: hosts (with port) that have the same repositories, asked first when reading. */
  readonly mirrors?: ReadonlyMap<string, readonly string[]>;
  /** Where credentials come from: docker's and podman's files unless given. */
  readonly credentials?: (
    where: Pick<Reference, 'registry' | 'repository'>,
  ) => Promise<Credentials | undefined>;
  /** For docker's and podman's files and for proxies; of this process unless given. */
  readonly env?: CredentialOptions['env'];
  readonly retry?: RetryOptions;
  /** Milliseconds without a byte; 60 000 unless given. */
  readonly idleTimeout?: number;
  /** Bytes of one request of a chunked upload. */
  readonly chunkSize?: number;
}

/** Nothing is sent before the first call of a method. */
export async function openRegistry(
  { registry, repository }: Pick<Reference, 'registry' | 'repository'>,
  options: RegistryOptions = {},
): Promise<RegistryStore> {
  const clients: HttpClient[] = [];
  const open = async (name: string): Promise<Session> => {
    const host = apiHost(name);
    const tls = await loadTls(host, options.ca);
    const { idleTimeout, retry, insecure = [], env = process.env } = options;
    const http = new HttpClient({ tls, env, ...(idleTimeout !== undefined && { idleTimeout }) });
    clients.push(http);
    const where = { registry: name, repository };
    const credentials = async (): Promise<Credentials | undefined> =>
      options.credentials === undefined ? findCredentials(where, { env }) : options.credentials(where);
    return new Session({
      registry: name,
      host,
      http,
      insecure,
      credentials,
      ...(retry !== undefined && { retry }),
    });
  };
  const mirrors: Session[] = [];
  for (const mirror of options.mirrors?.get(registry) ?? []) mirrors.push(await open(mirror));
  return new RegistryStore({
    session: await open(registry),
    repository,
    mirrors,
    ...(options.chunkSize !== undefined && { chunkSize: options.chunkSize }),
    close: () => {
      for (const client of clients) client.close();
    },
  });
}
