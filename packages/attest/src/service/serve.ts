/** A verifier from a folder of keys and what an operator named on the command line: everything `osguard attest serve` does. */

import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { encodePem } from '@osguard/formats/x509';
import { loadKeyring } from '@osguard/keys';
import type { Keyring } from '@osguard/keys';
import { endpointFile, tokenFile } from '../protocol/index.ts';
import { ServiceError } from './error.ts';
import { createToken } from './operators.ts';
import { followPolicy } from './policy-follow.ts';
import type { PolicyFollower } from './policy-follow.ts';
import { setSecret } from './secrets.ts';
import { seedReleases, settlePolicy } from './setup.ts';
import type { SettledPolicy } from './setup.ts';
import { writePrivate } from './state.ts';
import { issueIdentity } from './tls.ts';
import type { ServerIdentity } from './tls.ts';
import { startVerifier } from './verifier.ts';
import type { Verifier, VerifierOptions } from './verifier.ts';

export interface ServeOptions extends Pick<
  VerifierOptions,
  'state' | 'host' | 'port' | 'log' | 'version' | 'limits' | 'now' | 'judges' | 'times'
> {
  /** Key folder: the role verifier issues the server's certificate, certificates of the role release are trusted. */
  readonly keys: string;
  /** `postgres://…`, or a file; a file in the state folder unless told otherwise. */
  readonly store?: string | undefined;
  /** Names and addresses clients use, besides the address listened on and `localhost`. */
  readonly names?: readonly string[];
  /** Certificate and key of the server in PEM, instead of issuing one: then the key folder needs no private key. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
  /** A policy file; without one everything has its default. */
  readonly policy?: string | undefined;
  /** Milliseconds between looks whether its files changed. */
  readonly policyInterval?: number;
  /** Files of root certificates of endorsement keys, besides those of the policy. */
  readonly endorsementRoots?: readonly string[];
  /** Release folders that are promoted from the start. */
  readonly releases?: readonly string[];
  /** Set at the start for every trusted node, replacing what is there. */
  readonly secrets?: ReadonlyMap<string, Uint8Array>;
  readonly issuer?: string | undefined;
}

export interface ServedVerifier extends Verifier {
  /** Certificate clients check the server with, PEM; undefined when the certificate came from elsewhere. */
  readonly ca: string | undefined;
  /** Where the first administrator's token lies. */
  readonly tokenFile: string;
  /** Reads the policy and what it names again, as is done when a file changes. @returns whether that is in force now */
  reload(): Promise<boolean>;
}

/** @throws KeysError, ServiceError, StoreError, AttestError, DiagnosticsError */
export async function serveVerifier(options: ServeOptions): Promise<ServedVerifier> {
  const keyring = await loadKeyring(options.keys);
  const settled = await settle(options, keyring);
  const ca =
    options.tls === undefined ? encodePem('CERTIFICATE', keyring.certificate('verifier').der) : undefined;
  const { store, issuer, limits, now, judges, times } = options;
  const verifier = await startVerifier({
    state: options.state,
    host: options.host,
    port: options.port,
    log: options.log,
    version: options.version,
    policy: settled.policy,
    policySource: settled.source,
    identity: await identitySource(options, keyring),
    ...(store !== undefined && { store }),
    ...(issuer !== undefined && { issuer }),
    ...(limits !== undefined && { limits }),
    ...(now !== undefined && { now }),
    ...(judges !== undefined && { judges }),
    ...(times !== undefined && { times }),
  });
  let follower: PolicyFollower;
  try {
    await seed(verifier, settled, options);
    await introduce(verifier, { state: options.state, ca });
    follower = await followPolicy({
      use: async () => {
        const next = await settle(options, keyring);
        await verifier.usePolicy(next.policy, next.source);
        await seed(verifier, next, { ...options, secrets: new Map(), releases: [] });
        return next.files;
      },
      files: settled.files,
      status: verifier.context.policyStatus,
      log: options.log,
      onRefused: async (problem) =>
        verifier.store.decisions.append({
          at: verifier.context.now(),
          kind: 'policy.refused',
          actor: 'verifier',
          change: true,
          data: { problem },
        }),
      ...(options.policyInterval !== undefined && { interval: options.policyInterval }),
    });
  } catch (error) {
    await verifier.close();
    throw error;
  }
  return {
    ...verifier,
    ca,
    tokenFile: join(options.state, tokenFile),
    reload: async () => follower.reload(),
    async close() {
      follower.close();
      await verifier.close();
    },
  };
}

async function settle(options: ServeOptions, keyring: Keyring): Promise<SettledPolicy> {
  const settled = await settlePolicy({
    file: options.policy,
    endorsementRoots: options.endorsementRoots ?? [],
    releaseSigners: keyring.certificates('release'),
  });
  if (settled.policy.trust.release.length === 0) {
    throw new ServiceError('option', 'nobody is trusted to sign releases, so no node could be trusted', {
      hint: `put release.crt into ${options.keys}, or name it in trust.release of a policy`,
    });
  }
  return settled;
}

async function identitySource(
  { tls, host, names = [], now = Date.now }: ServeOptions,
  keyring: Keyring,
): Promise<() => Promise<ServerIdentity>> {
  if (tls !== undefined) return async () => tls;
  const signer = await keyring.signer('verifier');
  const anywhere = host === '0.0.0.0' || host === '::';
  const own = anywhere ? ['localhost', '127.0.0.1', '::1'] : ['localhost', host];
  const all = [...new Set([...own, ...names])];
  return async () => issueIdentity(signer, { names: all, now: now() });
}

async function seed(
  verifier: Verifier,
  { policy, releases }: SettledPolicy,
  options: ServeOptions,
): Promise<void> {
  const { store, context } = verifier;
  const promoted = (options.releases ?? []).map((folder) => ({ folder, state: 'promoted' }) as const);
  await seedReleases(store, [...releases, ...promoted], { policy, now: context.now() });
  await context.refreshReleases();
  for (const [name, value] of options.secrets ?? []) {
    await setSecret({ name, value, scope: 'everyone', by: 'command line' }, context);
  }
}

/** The first administrator's token, when there is none at all, and the address, for commands on this machine. */
async function introduce(
  { store, url, context }: Verifier,
  { state, ca }: { readonly state: string; readonly ca: string | undefined },
): Promise<void> {
  const endpoint = join(state, endpointFile);
  await rm(endpoint, { force: true });
  await writePrivate(endpoint, Buffer.from(`${JSON.stringify({ url, ca }, null, 2)}\n`));
  if ((await store.tokens.list()).length > 0) return;
  const file = join(state, tokenFile);
  await rm(file, { force: true });
  const request = {
    name: 'first',
    role: 'admin',
    now: context.now(),
    expires: null,
    actor: 'verifier',
  } as const;
  const { token } = await createToken(store, request);
  await writePrivate(file, Buffer.from(`${token}\n`));
  context.log('info', 'made a token for the first administrator', { file });
}

/** Two PEM files as a server's identity. */
export async function readIdentity(certificate: string, key: string): Promise<ServerIdentity> {
  try {
    const identity = { cert: await readFile(certificate, 'utf8'), key: await readFile(key, 'utf8') };
    // Said now, with the names of the files, instead of when it listens.
    createSecureContext(identity);
    return identity;
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new ServiceError('option', `${certificate} and ${key} are no certificate and its key: ${message}`, {
      hint: 'both have to be PEM, the certificate first in its file and made for this key',
      cause,
    });
  }
}
