/** Evidence that was good once, handed in again by somebody who kept it. */

import { request } from 'node:https';
import { nonceAnswerSchema, paths, refusalSchema } from '@osguard/attest/protocol';
import type { ServedVerifier } from '@osguard/attest/service';
import { createChannelIdentity } from '@osguard/node';
import type { ChannelIdentity } from '@osguard/node';
import { MachineError } from '../error.ts';

export interface Replay {
  readonly id: 'as-it-was' | 'with-a-fresh-nonce' | 'with-a-fresh-nonce-and-key';
  /** For people. */
  readonly what: string;
  /** The verifier's reason code, or the status when it gave none. */
  readonly answer: string;
}

/** The reason code each must get. */
export const replayAnswers: Readonly<Record<Replay['id'], string>> = {
  'as-it-was': 'nonce-refused',
  'with-a-fresh-nonce': 'channel-refused',
  'with-a-fresh-nonce-and-key': 'evidence-refused',
};

export async function replayEvidence(
  verifier: ServedVerifier,
  evidence: Uint8Array,
): Promise<readonly Replay[]> {
  const identity = createChannelIdentity();
  const message: Readonly<Record<string, unknown>> = JSON.parse(Buffer.from(evidence).toString('utf8'));
  const send = async (changes: Readonly<Record<string, string>>): Promise<string> => {
    const { status, text } = await post(verifier, identity, {
      path: paths.evidence,
      body: JSON.stringify({ ...message, ...changes }),
    });
    return reasonIn(text) ?? String(status);
  };
  const freshNonce = async (): Promise<string> => {
    const body = JSON.stringify({ node: message['node'], purpose: 'evidence' });
    const { text } = await post(verifier, identity, { path: paths.nonces, body });
    return nonceAnswerSchema.parse(JSON.parse(text)).nonce;
  };
  const tlsKey = Buffer.from(identity.publicKey).toString('base64');
  return [
    { id: 'as-it-was', what: 'the evidence as it was', answer: await send({}) },
    {
      id: 'with-a-fresh-nonce',
      what: 'with a fresh nonce written into it',
      answer: await send({ nonce: await freshNonce() }),
    },
    {
      id: 'with-a-fresh-nonce-and-key',
      what: 'with a fresh nonce and the key of his own connection written into it',
      answer: await send({ nonce: await freshNonce(), tlsKey }),
    },
  ];
}

function post(
  { url, ca }: ServedVerifier,
  { key, certificate }: ChannelIdentity,
  { path, body }: { readonly path: string; readonly body: string },
): Promise<{ readonly status: number; readonly text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const outgoing = request(
    `${url}${path}`,
    {
      method: 'POST',
      ca,
      key,
      cert: certificate,
      agent: false,
      headers: { 'content-type': 'application/json' },
    },
    (incoming) => {
      const parts: Buffer[] = [];
      incoming.on('data', (part: Buffer) => parts.push(part));
      incoming.on('end', () =>
        resolve({ status: incoming.statusCode ?? 0, text: Buffer.concat(parts).toString('utf8') }),
      );
    },
  );
  outgoing.on('error', (cause) =>
    reject(new MachineError('start-failed', `the verifier does not answer at ${url}`, { cause })),
  );
  outgoing.end(body);
  return promise;
}

function reasonIn(text: string): string | undefined {
  try {
    return refusalSchema.safeParse(JSON.parse(text)).data?.reason;
  } catch {
    return undefined;
  }
}
