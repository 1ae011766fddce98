/** The verifier as a whole: state, store, judges and server put together, and taken apart again in order. */

import { setTimeout } from 'node:timers/promises';
import { Server as TlsServer } from 'node:tls';
import type { FastifyInstance } from 'fastify';
import { createTokenSigner, jwksOf } from '../token/keys.ts';
import type { Policy } from '../policy/types.ts';
import { openStore } from '../store/index.ts';
import type { Store } from '../store/index.ts';
import { createChanges } from './changes.ts';
import { defaultLimits } from './context.ts';
import type { LogLine, ServiceLimits, VerifierContext } from './context.ts';
import { ServiceError } from './error.ts';
import { endStreams } from './event-stream.ts';
import { openJudgePool } from './judge/pool.ts';
import type { Judge, JudgePoolOptions } from './judge/pool.ts';
import type { JudgeSettings } from './judge/judge.ts';
import { reviewEndorsements } from './endorsement-review.ts';
import { createMetrics } from './metrics.ts';
import { openapiOf } from './openapi.ts';
import { loadIntoStore, noSource, rulesDigest } from './policy-load.ts';
import type { PolicySource } from './policy-load.ts';
import type { PolicyStatus } from './policy-status.ts';
import { RateLimiter } from './rate-limit.ts';
import { createReleaseBook } from './release-book.ts';
import { allRoutes } from './routes/index.ts';
import { createSealing } from './sealing.ts';
import { createSecretNames } from './secret-names.ts';
import { createServer } from './server.ts';
import type { ServerTimes } from './server.ts';
import { openState } from './state.ts';
import type { ServerIdentity } from './tls.ts';
import { startWebhooks } from './webhooks.ts';

export interface VerifierOptions {
  /** Folder for keys and, unless `store` says otherwise, the database. */
  readonly state: string;
  /** `postgres://…`, or a file. */
  readonly store?: string;
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** Certificate and key of the server; asked again when it is time to renew. */
  readonly identity: () => Promise<ServerIdentity>;
  readonly policy: Policy;
  readonly policySource?: PolicySource;
  /** `iss` of tokens; https://HOST:PORT unless told otherwise. */
  readonly issuer?: string;
  /** Of this program. */
  readonly version: string;
  readonly log: LogLine;
  readonly limits?: Partial<ServiceLimits>;
  readonly times?: ServerTimes;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  readonly judges?: JudgePoolOptions;
  /** Stands in for the threads that judge. */
  readonly openJudge?: (settings: JudgeSettings) => Judge;
}

export interface Verifier {
  readonly url: string;
  readonly port: number;
  readonly store: Store;
  readonly context: VerifierContext;
  /** Counts for what is judged from now on, and for verdicts that were given before. @throws StoreError */
  usePolicy(policy: Policy, source?: PolicySource): Promise<void>;
  /** Answers what is under way, then ends. */
  close(): Promise<void>;
}

/** Milliseconds. */
const sweepInterval = 10_000;
const refreshInterval = 1000;
const renewInterval = 86_400_000;
const closePatience = 10_000;
const reviewPause = 10_000;

/** @throws ServiceError, StoreError, KeysError */
export async function startVerifier(options: VerifierOptions): Promise<Verifier> {
  const { version, log, now = Date.now } = options;
  const state = await openState(options.state);
  const store = await openStore(options.store ?? state.database);
  const cleanup: (() => unknown)[] = [async () => store.close()];
  try {
    let inForce = { policy: options.policy, rules: rulesDigest(options.policy) };
    let releaseSigners = options.policy.trust.release;
    let serving = true;
    let review = new AbortController();
    const sealing = createSealing(state.sealingKey);
    const book = createReleaseBook({
      store,
      trust: () => releaseSigners,
      onRefused: ({ id }, error) => log('error', 'release refused', { release: id, error: messageOf(error) }),
    });
    await book.refresh();
    const issuer = options.issuer ?? `https://${hostText(options.host)}:${options.port}`;
    const settings = (): JudgeSettings => ({
      policy: inForce.policy,
      releases: book.releases,
      tokenKey: state.tokenKey,
      issuer,
      build: `osguard ${version}`,
    });
    const onEnd: JudgePoolOptions['onEnd'] = (error, { inMilliseconds }) =>
      log('error', 'a judging thread ended', {
        error: messageOf(error),
        restartInMilliseconds: inMilliseconds,
      });
    const open =
      options.openJudge ?? ((first: JudgeSettings) => openJudgePool(first, { onEnd, ...options.judges }));
    const judge = open(settings());
    cleanup.push(async () => judge.close());
    const onError = (error: unknown): void =>
      log('error', 'background work failed', { error: messageOf(error) });
    const changes = createChanges({ store, onError });
    cleanup.push(() => changes.close());
    const limits = { ...defaultLimits, ...options.limits };
    const { name } = options.policy;
    const policyStatus: PolicyStatus = { name, source: noSource, since: now(), problem: undefined };
    const metrics = createMetrics({
      store,
      now,
      policy: policyStatus,
      judging: () => judge.ready,
      pending: () => judge.pending,
      subscribers: () => changes.subscribers,
    });
    const refresh = async (force = false): Promise<void> => {
      if (await book.refresh(force)) judge.configure(settings());
    };
    const context: VerifierContext = {
      store,
      judge,
      book,
      sealing,
      metrics,
      changes,
      policy: () => inForce.policy,
      rules: () => inForce.rules,
      policyStatus,
      limits,
      limiters: {
        address: new RateLimiter(limits.address),
        node: new RateLimiter({ ...limits.node, keys: 200_000 }),
        strangers: new RateLimiter(limits.strangers),
      },
      now,
      log,
      secretNames: createSecretNames(store),
      nodeAuthority: state.nodeAuthority,
      jwks: jwksOf([createTokenSigner(state.tokenKey)]),
      issuer,
      serving: () => serving,
      refreshReleases: async () => refresh(),
    };
    const webhooks = startWebhooks({
      store,
      sealing,
      now,
      onDelivery: ({ webhook, error }) => {
        metrics.webhooks.inc({ outcome: error === null ? 'delivered' : 'failed' });
        if (error !== null) log('warn', 'webhook failed', { webhook, error });
      },
      onError,
    });
    cleanup.push(async () => webhooks.close());
    const settle = async (source: PolicySource): Promise<void> => {
      const { policy } = inForce;
      const verdictsEnded = await loadIntoStore(store, { policy, source, book, now: now() });
      Object.assign(policyStatus, { name: policy.name, source, since: now(), problem: undefined });
      changes.poke();
      log('info', 'policy loaded', { policy: policy.name, ...source, verdictsEnded });
      review.abort();
      review = new AbortController();
      void reviewUntilDone(policy, review.signal);
    };
    const reviewUntilDone = async (policy: Policy, signal: AbortSignal): Promise<void> => {
      while (!signal.aborted) {
        try {
          const outcome = await reviewEndorsements(store, { policy, now: now(), signal });
          if (outcome !== undefined) log('info', 'endorsements reviewed', { ...outcome });
          changes.poke();
          return;
        } catch (error) {
          if (!signal.aborted) onError(error);
          await setTimeout(reviewPause, undefined, { signal, ref: false }).catch(() => undefined);
        }
      }
    };
    cleanup.push(() => review.abort());
    await settle(options.policySource ?? noSource);
    const routes = allRoutes(() => document);
    const document = openapiOf(routes, { version });
    const identity = await options.identity();
    const app = createServer({ identity, routes, context, ...(options.times && { times: options.times }) });
    const port = await listen(app, options);
    cleanup.push(async () => closeServer(app, context));
    const timers = [
      every(sweepInterval, async () => store.sweep(now()), onError),
      every(refreshInterval, async () => refresh(), onError),
      every(renewInterval, async () => renew(app, await options.identity()), onError),
    ];
    cleanup.push(() => timers.forEach((timer) => clearInterval(timer)));
    const url = `https://${hostText(options.host)}:${port}`;
    const starting = { version, policy: name, store: store.kind, releases: book.releases.length };
    await store.decisions.append({
      at: now(),
      kind: 'service.started',
      actor: 'verifier',
      change: false,
      data: starting,
    });
    log('info', 'listening', { url, ...starting });
    return {
      url,
      port,
      store,
      context,
      async usePolicy(policy, source = noSource) {
        const before = releaseSigners;
        releaseSigners = policy.trust.release;
        try {
          await book.refresh(true);
        } catch (error) {
          releaseSigners = before;
          throw error;
        }
        // In one turn: what is judged by the old rules is told from what is judged by the new ones.
        inForce = { policy, rules: rulesDigest(policy) };
        judge.configure(settings());
        await settle(source);
      },
      async close() {
        serving = false;
        log('info', 'stopping');
        await takeApart(cleanup);
        log('info', 'stopped');
      },
    };
  } catch (error) {
    await takeApart(cleanup);
    throw error;
  }
}

/** In the reverse order of how it was put together; what fails does not keep the rest. */
async function takeApart(cleanup: (() => unknown)[]): Promise<void> {
  for (const end of cleanup.splice(0).toReversed()) {
    try {
      await end();
    } catch {
      // A store that is gone cannot be closed in order, and there is nobody left to tell.
    }
  }
}

async function listen(app: FastifyInstance, { host, port }: VerifierOptions): Promise<number> {
  try {
    await app.listen({ host, port });
  } catch (cause) {
    throw new ServiceError('listen', `cannot listen on ${hostText(host)}:${port}: ${messageOf(cause)}`, {
      exitCode: 3,
      cause,
    });
  }
  const address = app.server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}

async function closeServer(app: FastifyInstance, context: VerifierContext): Promise<void> {
  endStreams(context);
  const late = globalThis.setTimeout(() => app.server.closeAllConnections(), closePatience);
  await app.close();
  clearTimeout(late);
}

function renew({ server }: FastifyInstance, identity: ServerIdentity): void {
  if (server instanceof TlsServer) server.setSecureContext(identity);
}

function every(
  milliseconds: number,
  work: () => Promise<unknown>,
  onError: (error: unknown) => void,
): NodeJS.Timeout {
  let running = false;
  const timer = setInterval(() => {
    if (running) return;
    running = true;
    work()
      .catch(onError)
      .finally(() => {
        running = false;
      });
  }, milliseconds);
  timer.unref();
  return timer;
}

function hostText(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
