/**
 * The demonstration: a verifier on this machine, the release in a virtual machine with a TPM of its own. As it was
 * released it is trusted and gets a secret; with one kernel argument changed by somebody who holds the boot key it boots
 * just as well, and gets nothing.
 */

import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServedVerifier, ServeOptions } from '@osguard/attest/service';
import { serveVerifier, ServiceError } from '@osguard/attest/service';
import { refusalSchema, secretPath } from '@osguard/attest/protocol';
import type { CheckMessage } from '@osguard/attest/protocol';
import type { EventSink } from '@osguard/events';
import { step } from '@osguard/events';
import type { ReleaseFolder } from '@osguard/image';
import type { Keyring } from '@osguard/keys';
import { createChannelIdentity } from '@osguard/node';
import { MachineError } from '../error.ts';
import { enrolledVariables } from '../prove/variables.ts';
import { openTools } from '../tools/open.ts';
import { authorityCertificateFile, openTpmAuthority } from '../vm/tpm-authority.ts';
import type { ArgumentChange } from './changed-argument.ts';
import { replaceUki, ukiWithChangedArgument } from './changed-argument.ts';
import type { BootOutcome } from './demo-machine.ts';
import { DemoMachine } from './demo-machine.ts';
import { createOverlay } from './esp.ts';
import { verifierPort } from './host-configuration.ts';

export interface AttestDemoOptions {
  readonly release: ReleaseFolder;
  /** Private keys of the roles boot and verifier, certificates of platform, exchange and release. */
  readonly keyring: Keyring;
  readonly sink: EventSink;
  /** Told as soon as each is known. */
  readonly onChapter?: (chapter: DemoChapter) => void;
  readonly signal?: AbortSignal;
  /** Folder for the consoles of both boots, made when it is not there. */
  readonly consoles?: string;
  /** Default: the kernel protects its memory less. */
  readonly change?: ArgumentChange;
  readonly memoryMiB?: number;
  readonly cpus?: number;
}

/** One part of the story, and whether it went as it must. */
export type DemoChapter =
  | {
      readonly id: 'held-back';
      readonly ok: boolean;
      readonly verifier: string;
      readonly secret: string;
      /** What the verifier answers to somebody who proved nothing. */
      readonly answer: string;
    }
  | DemoBoot;

export interface DemoBoot {
  readonly id: 'released' | 'changed';
  readonly ok: boolean;
  /** Absent for the boot as released. */
  readonly change?: ArgumentChange;
  /** What the machine said on its console. */
  readonly outcome: BootOutcome;
  /** Lower-case hex. */
  readonly node: string;
  /** What the verifier has on record: trusted, refused, or why it is neither. */
  readonly trust: string;
  /** Of the last evidence: those that failed. */
  readonly failed: readonly CheckMessage[];
  /** Names of secrets that the verifier gave out during this boot. */
  readonly given: readonly string[];
}

export interface AttestDemo {
  readonly ok: boolean;
  readonly release: { readonly name: string; readonly version: string; readonly rootHash: string };
  readonly chapters: readonly DemoChapter[];
}

/** The name of the secret in the demonstration. */
const secretName = 'join-token';
const defaultChange: ArgumentChange = { from: 'lockdown=confidentiality', to: 'lockdown=integrity' };

/** @throws MachineError, ServiceError, KeysError when it cannot be shown; what is shown and wrong is in the result */
export async function demonstrateAttestation(options: AttestDemoOptions): Promise<AttestDemo> {
  const { release, keyring, sink, signal, consoles, change = defaultChange } = options;
  const port = verifierPort(release);
  const boot = await keyring.signer('boot');
  const tools = await openTools({ sink, ...(signal !== undefined && { signal }) });
  if (consoles !== undefined) mkdirSync(consoles, { recursive: true });
  using folder = temporaryFolder();
  const chapters: DemoChapter[] = [];
  const tell = (chapter: DemoChapter): void => {
    chapters.push(chapter);
    options.onChapter?.(chapter);
  };

  const authority = openTpmAuthority(folder.path);
  const machine = new DemoMachine({ ...options, tools, state: join(folder.path, 'machine') });
  const { ek: node } = await machine.manufacture(authority);
  const verifier = await step(sink, { id: 'verifier', title: 'start the verifier' }, () =>
    serve({
      keys: keyring.directory,
      state: join(folder.path, 'verifier'),
      host: '127.0.0.1',
      port,
      names: ['10.0.2.2'],
      endorsementRoots: [join(folder.path, authorityCertificateFile)],
      releases: [release.path],
      secrets: new Map([[secretName, randomBytes(32)]]),
      version: 'demonstration',
      log: () => undefined,
    }),
  );
  try {
    const answer = await askWithoutProof(verifier);
    tell({
      id: 'held-back',
      ok: answer === 'not-trusted',
      verifier: verifier.url,
      secret: secretName,
      answer,
    });

    const disk = join(folder.path, 'disk.qcow2');
    await createOverlay(disk, { release, tools, folder: folder.path });
    const variables = enrolledVariables(keyring, { tools, release });
    const bootOnce = async (id: DemoBoot['id'], title: string): Promise<DemoBoot> => {
      const before = await lastDecision(verifier);
      const outcome = await step(sink, { id: `boot-${id}`, title }, () =>
        machine.boot({
          disks: [disk],
          variables,
          ...(consoles !== undefined && { consoleLog: join(consoles, `${id}.log`) }),
        }),
      );
      const record = await verifier.store.nodes.detail(node, Date.now());
      const given = await secretsGiven(verifier, before);
      const trust = record?.trust ?? 'unknown';
      const failed = (record?.checks ?? []).filter(({ ok }) => !ok);
      return { id, ok: false, outcome, node, trust, failed, given };
    };

    const released = await bootOnce('released', 'boot the release');
    const isTrusted = released.outcome.end === 'trusted' && released.trust === 'trusted';
    tell({ ...released, ok: isTrusted && released.given.includes(secretName) });

    const uki = await ukiWithChangedArgument({ release, signer: boot, change });
    await replaceUki(disk, uki, { release, tools, folder: folder.path });
    const changed = await bootOnce('changed', `boot with ${change.to}`);
    const isRefused = changed.outcome.end === 'refused' && changed.trust === 'refused';
    tell({ ...changed, change, ok: isRefused && changed.given.length === 0 && changed.failed.length > 0 });
  } finally {
    await verifier.close();
  }
  const { name, version, rootHash } = release;
  return { ok: chapters.every(({ ok }) => ok), release: { name, version, rootHash }, chapters };
}

async function serve(options: ServeOptions): Promise<ServedVerifier> {
  try {
    return await serveVerifier(options);
  } catch (cause) {
    if (!(cause instanceof ServiceError) || cause.code !== 'listen') throw cause;
    throw new MachineError('start-failed', cause.message, {
      hint: 'stop what listens there, or build the release with another port in attest.verifier',
      cause,
    });
  }
}

function temporaryFolder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'osguard-attest-'));
  const remove = (): void => rmSync(path, { recursive: true, force: true });
  process.once('exit', remove);
  return {
    path,
    [Symbol.dispose]: () => {
      process.removeListener('exit', remove);
      remove();
    },
  };
}

/** Asks for the secret as anybody could, with a TLS key that no quote names. The verifier's reason, or the status. */
async function askWithoutProof({ url, ca }: ServedVerifier): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const { key, certificate } = createChannelIdentity();
  const stranger = { ca, key, cert: certificate, agent: false };
  const outgoing = request(`${url}${secretPath(secretName)}`, stranger, (incoming) => {
    const parts: Buffer[] = [];
    incoming.on('data', (part: Buffer) => parts.push(part));
    incoming.on('end', () => {
      const refusal = refusalSchema.safeParse(jsonOf(Buffer.concat(parts).toString('utf8')));
      resolve(refusal.success ? refusal.data.reason : String(incoming.statusCode));
    });
  });
  outgoing.on('error', (cause) =>
    reject(new MachineError('start-failed', `the verifier does not answer at ${url}`, { cause })),
  );
  outgoing.end();
  return promise;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Decisions are a numbered log. */
const mostDecisions = 1000;

async function lastDecision({ store }: ServedVerifier): Promise<number> {
  const all = await store.decisions.list({ after: 0, limit: mostDecisions });
  return all.at(-1)?.seq ?? 0;
}

async function secretsGiven({ store }: ServedVerifier, after: number): Promise<readonly string[]> {
  const decisions = await store.decisions.list({ after, limit: mostDecisions });
  return decisions.flatMap(({ body }) => {
    const { kind, data }: { readonly kind?: unknown; readonly data?: { readonly secret?: unknown } } =
      JSON.parse(body);
    return kind === 'secret.released' && typeof data?.secret === 'string' ? [data.secret] : [];
  });
}
