/**
 * The verifier as the node sees it: HTTPS with exactly the authority of the signed configuration, JSON both ways, every
 * answer bounded in size and time and read by the protocol's schemas.
 */

import { Agent, request } from 'node:https';
import type { z } from 'zod';
import {
  activationAnswerSchema,
  activationPath,
  enrolmentAnswerSchema,
  evidenceAnswerSchema,
  limits,
  nonceAnswerSchema,
  paths,
  refusalSchema,
  secretPath,
} from '@osguard/attest/protocol';
import type {
  ActivationAnswer,
  EnrolmentAnswer,
  EnrolmentRequest,
  EvidenceAnswer,
  EvidenceMessage,
  NonceAnswer,
  ReasonCode,
} from '@osguard/attest/protocol';
import { NodeError } from '../error.ts';
import type { ChannelIdentity } from './identity.ts';

export interface Verifier extends Disposable {
  enrol(application: EnrolmentRequest): Promise<EnrolmentAnswer>;
  activate(enrolment: string, secret: Uint8Array): Promise<ActivationAnswer>;
  nonce(node: string): Promise<NonceAnswer>;
  prove(evidence: EvidenceMessage): Promise<Verdict>;
  secret(name: string): Promise<Uint8Array>;
}

export interface Verdict extends EvidenceAnswer {
  /** Seconds for which the verdict still counts, by the verifier's own clock; 0 when refused. */
  readonly lifetime: number;
}

export interface VerifierOptions {
  /** https address without a final slash. */
  readonly address: string;
  /** PEM. */
  readonly ca: string;
  readonly identity: ChannelIdentity;
  readonly signal: AbortSignal;
  /** Milliseconds for one request and its answer. */
  readonly timeout?: number;
}

interface Dated<T> {
  readonly value: T;
  readonly date: number;
}

interface Answer {
  readonly status: number;
  /** Milliseconds since 1970, by the verifier's clock. */
  readonly date: number;
  readonly body: Buffer;
}

const defaultTimeout = 30_000;
/** Seconds. */
const longestLifetime = 86_400;
/** Bytes; a verdict with all its checks. */
const largestAnswer = 1_048_576;

/** One channel: all requests of it use the same TLS key. @throws NodeError `verifier`, also from all functions */
export function openVerifier(options: VerifierOptions): Verifier {
  const { address, ca, identity, signal, timeout = defaultTimeout } = options;
  const agent = new Agent({
    ca,
    cert: identity.certificate,
    key: identity.key,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.3',
    keepAlive: true,
    maxSockets: 1,
    // A resumed session would carry no certificate of its own.
    maxCachedSessions: 0,
  });

  async function post<T>(path: string, message: unknown, schema: z.ZodType<T>): Promise<T> {
    return (await postDated(path, message, schema)).value;
  }

  async function postDated<T>(path: string, message: unknown, schema: z.ZodType<T>): Promise<Dated<T>> {
    const { body, date } = await send(path, JSON.stringify(message), largestAnswer);
    let value: unknown;
    try {
      value = JSON.parse(body.toString('utf8'));
    } catch (cause) {
      throw unreadable(path, cause);
    }
    const parsed = schema.safeParse(value);
    if (!parsed.success) throw unreadable(path, parsed.error);
    return { value: parsed.data, date };
  }

  async function send(path: string, message: string | undefined, largest: number): Promise<Answer> {
    const answer = await exchange(path, message, largest);
    if (answer.status >= 200 && answer.status < 300) return answer;
    const reason = reasonIn(answer.body);
    throw new NodeError('verifier', `the verifier refused ${path}: ${reason ?? `status ${answer.status}`}`, {
      data: { status: answer.status, ...(reason !== undefined && { reason }) },
    });
  }

  async function exchange(path: string, message: string | undefined, largest: number): Promise<Answer> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(timeout)]);
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const outgoing = request(
      `${address}${path}`,
      {
        method: message === undefined ? 'GET' : 'POST',
        agent,
        signal: limit,
        headers: message === undefined ? {} : { 'content-type': 'application/json' },
      },
      (incoming) => {
        const parts: Buffer[] = [];
        let size = 0;
        incoming.on('data', (part: Buffer) => {
          size += part.length;
          if (size > largest) outgoing.destroy(new Error(`the answer has more than ${largest} bytes`));
          else parts.push(part);
        });
        incoming.on('end', () =>
          resolve({
            status: incoming.statusCode ?? 0,
            date: Date.parse(incoming.headers.date ?? ''),
            body: Buffer.concat(parts),
          }),
        );
        incoming.on('error', reject);
      },
    );
    outgoing.on('error', reject);
    outgoing.end(message);
    try {
      return await promise;
    } catch (cause) {
      const late = limit.aborted && !signal.aborted;
      const why = late ? `no answer within ${timeout / 1000} s` : messageOf(cause);
      throw new NodeError('verifier', `the verifier ${address} cannot be reached: ${why}`, { cause });
    }
  }

  return {
    enrol: (application) => post(paths.enrolments, application, enrolmentAnswerSchema),
    activate: (enrolment, secret) =>
      post(
        activationPath(enrolment),
        { secret: Buffer.from(secret).toString('base64') },
        activationAnswerSchema,
      ),
    nonce: (node) => post(paths.nonces, { node, purpose: 'evidence' }, nonceAnswerSchema),
    async prove(evidence) {
      const asked = performance.now();
      const { value, date } = await postDated(paths.evidence, evidence, evidenceAnswerSchema);
      // An answer that was held up on its way does not count for longer.
      const late = (performance.now() - asked) / 1000;
      return { ...value, lifetime: Math.max(0, lifetimeOf(value, date) - late) };
    },
    secret: async (name) => Uint8Array.from((await send(secretPath(name), undefined, limits.secret)).body),
    [Symbol.dispose]: () => agent.destroy(),
  };
}

/** The clock of a machine that has just booted may be wrong; the verifier said with its answer what time it is there. */
function lifetimeOf({ verdict, expires }: EvidenceAnswer, date: number): number {
  if (verdict !== 'trusted' || expires === null) return 0;
  const seconds = (Date.parse(expires) - (Number.isNaN(date) ? Date.now() : date)) / 1000;
  return Math.max(0, Math.min(seconds, longestLifetime));
}

/** The verifier's own word for its no; undefined when it did not get as far. */
export function reasonOf(error: unknown): ReasonCode | undefined {
  if (!(error instanceof NodeError)) return undefined;
  const parsed = refusalSchema.safeParse(error.data);
  return parsed.success ? parsed.data.reason : undefined;
}

function reasonIn(body: Buffer): ReasonCode | undefined {
  try {
    const parsed = refusalSchema.safeParse(JSON.parse(body.toString('utf8')));
    return parsed.success ? parsed.data.reason : undefined;
  } catch {
    return undefined;
  }
}

function unreadable(path: string, cause: unknown): NodeError {
  return new NodeError('verifier', `the verifier's answer to ${path} is not what the protocol says`, {
    cause,
  });
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Connecting to several addresses fails with several errors and no message of its own.
  if (error instanceof AggregateError) return error.errors.map(messageOf).join(', ');
  return error.message;
}
