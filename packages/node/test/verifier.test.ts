import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { createChannelIdentity } from '../src/attest/identity.ts';
import { openVerifier, reasonOf } from '../src/attest/verifier.ts';
import type { Verifier } from '../src/attest/verifier.ts';
import { NodeError } from '../src/error.ts';
import { serverCertificate } from './support/verifier.ts';

const { certificate, key } = serverCertificate();
let answer: (response: ServerResponse, request: IncomingMessage) => void = (response) => response.end();
let requests = 0;
const server = createServer(
  { cert: certificate, key, requestCert: true, rejectUnauthorized: false },
  (request, response) => {
    requests += 1;
    request.resume();
    answer(response, request);
  },
);
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
after(() => {
  server.closeAllConnections();
  server.close();
});
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it listens on TCP
const { port } = server.address() as AddressInfo;

function open(options: { readonly timeout?: number; readonly signal?: AbortSignal } = {}): Verifier {
  const { signal = new AbortController().signal, ...rest } = options;
  const address = `https://127.0.0.1:${port}`;
  return openVerifier({ address, ca: certificate, identity: createChannelIdentity(), signal, ...rest });
}

const node = '0'.repeat(64);
const verdict = { verdict: 'trusted', checks: [], token: null, secrets: [] };
const evidence = {
  schema: 'osguard/evidence/v1',
  node,
  nonce: '',
  quote: '',
  signature: '',
  pcrs: { sha256: {} },
  firmwareLog: '',
  userspaceLog: '',
  tlsKey: '',
  agent: { version: '' },
} as const;

const isVerifierError = (error: unknown): boolean => error instanceof NodeError && error.code === 'verifier';

test('answers that are not the protocol are errors, and say nothing about trust', async () => {
  using verifier = open();
  const bodies = ['', 'null', '[]', '{', '{"nonce":1}', '{"reason":"unknown-node"}', '\u0000'.repeat(10)];
  for (const body of bodies) {
    answer = (response) => response.end(body);
    await assert.rejects(
      verifier.nonce(node),
      (error) => isVerifierError(error) && reasonOf(error) === undefined,
    );
  }
});

test('a refusal is known by its reason, a status without one is not', async () => {
  using verifier = open();
  answer = (response) => response.writeHead(403).end('{"reason":"evidence-refused"}');
  await assert.rejects(verifier.nonce(node), (error) => reasonOf(error) === 'evidence-refused');
  for (const body of ['{"reason":"made-up"}', '<html>proxy</html>', '{"reason":["unknown-node"]}']) {
    answer = (response) => response.writeHead(502).end(body);
    await assert.rejects(
      verifier.nonce(node),
      (error) => isVerifierError(error) && reasonOf(error) === undefined,
    );
  }
});

test('an answer without end is given up, and one that does not come', { timeout: 10_000 }, async () => {
  using verifier = open({ timeout: 300 });
  using patient = open();
  answer = (response) => {
    const more = (): void => {
      while (response.write('x'.repeat(65_536)));
      response.once('drain', more);
    };
    more();
  };
  await assert.rejects(patient.nonce(node), /more than 1048576 bytes/);
  answer = () => undefined;
  await assert.rejects(verifier.nonce(node), /no answer within 0\.3 s/);
});

test('nobody is followed to another address', async () => {
  using verifier = open();
  answer = (response) => response.writeHead(307, { location: `https://127.0.0.1:${port}/other` }).end();
  const before = requests;
  await assert.rejects(verifier.secret('join-token'), isVerifierError);
  assert.equal(requests, before + 1);
});

test('how long a verdict counts follows the clock of the verifier', async () => {
  using verifier = open();
  const far = Date.UTC(2040, 0, 1);
  const said = async (expires: string | null, date?: string): Promise<number> => {
    answer = (response) => {
      if (date === undefined) response.sendDate = false;
      else response.setHeader('date', date);
      response.end(JSON.stringify({ ...verdict, expires }));
    };
    // Less what the answer took.
    return Math.ceil((await verifier.prove(evidence)).lifetime);
  };
  const date = new Date(far).toUTCString();
  assert.equal(await said(new Date(far + 90_000).toISOString(), date), 90);
  assert.equal(await said(new Date(far - 1000).toISOString(), date), 0);
  assert.equal(await said(new Date(far + 1e9).toISOString(), date), 86_400);
  assert.equal(await said(null, date), 0);
  const byOwnClock = await said(new Date(Date.now() + 60_000).toISOString());
  assert.ok(byOwnClock > 55 && byOwnClock <= 60);
});

test('an answer that was held up on its way does not count for longer', async () => {
  using verifier = open();
  answer = (response) => {
    const date = Date.now();
    response.setHeader('date', new Date(date).toUTCString());
    const expires = new Date(Math.floor(date / 1000) * 1000 + 60_000).toISOString();
    setTimeout(() => response.end(JSON.stringify({ ...verdict, expires })), 1200);
  };
  const { lifetime } = await verifier.prove(evidence);
  assert.ok(lifetime > 50 && lifetime <= 58.8, String(lifetime));
});

test('stopping the agent ends what it waits for', async () => {
  const stop = new AbortController();
  using verifier = open({ signal: stop.signal });
  answer = () => stop.abort();
  await assert.rejects(verifier.nonce(node), isVerifierError);
});
