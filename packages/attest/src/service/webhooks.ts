/**
 * Changes sent to addresses operators named: at least once, in order, with growing pauses after failures, from where
 * delivery stopped even over restarts. The body is authenticated: `OSGuard-Signature: t=SECONDS,v1=HEX`, HMAC-SHA256 of
 * `SECONDS.BODY` under the webhook's key, so that a receiver can refuse old and forged ones.
 */

import { createHmac, randomUUID } from 'node:crypto';
import type { Store, StoredWebhook } from '../store/index.ts';
import { ServiceError } from './error.ts';
import type { Sealing } from './sealing.ts';

export interface WebhooksOptions {
  readonly store: Store;
  readonly sealing: Sealing;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds between looks. */
  readonly interval?: number;
  /** Milliseconds an answer may take. */
  readonly patience?: number;
  readonly onDelivery: (delivery: { readonly webhook: string; readonly error: string | null }) => void;
  readonly onError: (error: unknown) => void;
}

export interface Webhooks {
  /** Delivers what is due now. */
  run(): Promise<void>;
  close(): Promise<void>;
}

const most = 100;
const longestPause = 3_600_000;

export function webhookLabel(id: string): string {
  return `webhook/${id}`;
}

/** @throws ServiceError unless https, or http to this machine. */
export function assertWebhookUrl(text: string): void {
  const url = URL.parse(text);
  const local = url !== null && /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  const allowed = url?.protocol === 'https:' || (url?.protocol === 'http:' && local);
  if (allowed && url.username === '' && url.password === '') return;
  throw new ServiceError('option', 'a webhook needs an https address without a password in it');
}

export function startWebhooks(options: WebhooksOptions): Webhooks {
  const { interval = 1000, onError } = options;
  const abort = new AbortController();
  let running: Promise<void> | undefined;
  const run = async (): Promise<void> => {
    running ??= deliverAll(options, abort.signal)
      .catch(onError)
      .finally(() => {
        running = undefined;
      });
    await running;
  };
  const timer = setInterval(() => void run(), interval);
  timer.unref();
  return {
    run,
    async close() {
      clearInterval(timer);
      abort.abort();
      await running;
    },
  };
}

async function deliverAll(options: WebhooksOptions, signal: AbortSignal): Promise<void> {
  const { store, now, patience = 10_000 } = options;
  while (!signal.aborted) {
    const lease = randomUUID();
    const webhook = await store.webhooks.claim({ now: now(), until: now() + patience * 3, lease });
    if (webhook === undefined) return;
    const { id } = webhook;
    const result = await deliver(webhook, options, signal);
    if (result.error === null) {
      const done = { attempts: 0, nextAt: 0, lastError: null };
      await store.webhooks.progress({ id, lease, cursor: result.cursor, ...done });
    } else {
      const attempts = webhook.attempts + 1;
      const pause = Math.min(longestPause, 1000 * 2 ** Math.min(attempts - 1, 20));
      // Half fixed, half by chance: receivers that come back are not met by everybody at once.
      const nextAt = now() + Math.round(pause * (0.5 + Math.random() / 2));
      await store.webhooks.progress({
        id,
        lease,
        cursor: webhook.cursor,
        attempts,
        nextAt,
        lastError: result.error,
      });
    }
    options.onDelivery({ webhook: id, error: result.error });
  }
}

async function deliver(
  webhook: StoredWebhook,
  { store, sealing, now, patience = 10_000 }: WebhooksOptions,
  stop: AbortSignal,
): Promise<{ readonly error: string | null; readonly cursor: number }> {
  const { id, url, cursor } = webhook;
  const decisions = await store.decisions.list({ after: cursor, limit: most, changes: true });
  const last = decisions.at(-1);
  if (last === undefined) return { error: null, cursor };
  const entries = decisions.map(
    ({ seq, hash, body }) => `{"seq":${seq},"hash":"${hash}","decision":${body}}`,
  );
  const body = `{"webhook":"${id}","changes":[${entries.join(',')}]}`;
  try {
    const key = sealing.open(webhook.sealed, webhookLabel(id));
    const response = await fetch(url, {
      method: 'POST',
      body,
      redirect: 'manual',
      signal: AbortSignal.any([stop, AbortSignal.timeout(patience)]),
      headers: {
        'content-type': 'application/json',
        'osguard-signature': signatureOf(body, { key, now: now() }),
      },
    });
    await response.body?.cancel();
    return { error: response.ok ? null : `HTTP ${response.status}`, cursor: last.seq };
  } catch (error) {
    return { error: plainReason(error), cursor };
  }
}

export function signatureOf(
  body: string,
  { key, now }: { readonly key: Uint8Array; readonly now: number },
): string {
  const seconds = Math.floor(now / 1000);
  return `t=${seconds},v1=${createHmac('sha256', key).update(`${seconds}.${body}`).digest('hex')}`;
}

function plainReason(error: unknown): string {
  if (!(error instanceof Error)) return 'failed';
  const { cause } = error;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : undefined;
  return (code ?? error.message).slice(0, 200);
}
