/** A verifier for tests: real TLS, real store, and a machine in software that enrols and proves what the suite's model booted. */

import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { Agent, request } from 'node:https';
import { encodePem, planCertificate } from '@osguard/formats/x509';
import { encodePublicArea, openCredential, publicAreaName } from '@osguard/formats/tpm2';
import type { TpmPublic } from '@osguard/formats/tpm2';
import { initKeys, loadKeyring } from '@osguard/keys';
import { scratch } from '@osguard/testkit';
import { encodeEvidence } from '@osguard/attest';
import { createToken, issueIdentity, startVerifier } from '../src/service/index.ts';
import type { Verifier, VerifierOptions } from '../src/service/index.ts';
import { goodPlan, goodPolicy, node as modelNode, settlePlan } from '../negative/model/baseline.ts';
import { goodBoot, release } from '../negative/model/boot.ts';
import type { Plan } from '../negative/model/baseline.ts';
import { privateKey, spki } from '../negative/model/keys.ts';
import { endorsementKeyArea } from '../negative/model/tpm.ts';

/** Inside the life of the model's certificates. */
export const modelNow: number = Date.parse('2026-11-22T10:00:00Z');
export { modelNode };

export interface Reply {
  readonly status: number;
  readonly json: Record<string, unknown>;
  readonly bytes: Buffer;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface Client extends Disposable {
  send(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Reply>;
}

export interface Rig extends AsyncDisposable {
  readonly verifier: Verifier;
  readonly ca: string;
  /** Moves the clock. */
  readonly clock: { now: number };
  readonly lines: { level: string; event: string; fields: unknown }[];
  /** A client with a TLS key of the model, or without one. */
  client(key?: KeyObject): Client;
  /** An operator's client. */
  operator(role?: 'viewer' | 'operator' | 'admin'): Promise<Client>;
  /** Adds the model's release and approves the model's endorsement key. */
  prepare(): Promise<string>;
  restart(): Promise<void>;
}

const keysFolder = scratch('verifier-keys');
process.once('exit', () => keysFolder[Symbol.dispose]());
let keysMade: Promise<void> | undefined;

export async function startRig(options: Partial<VerifierOptions> = {}): Promise<Rig> {
  const dir = scratch('verifier');
  keysMade ??= initKeys(keysFolder.file('keys'), { roles: ['verifier'] });
  await keysMade;
  const keyring = await loadKeyring(keysFolder.file('keys'));
  const signer = await keyring.signer('verifier');
  const ca = encodePem('CERTIFICATE', keyring.certificate('verifier').der);
  const clock = { now: modelNow };
  const lines: Rig['lines'] = [];
  const full: VerifierOptions = {
    state: dir.file('state'),
    host: '127.0.0.1',
    port: 0,
    identity: async () => issueIdentity(signer, { names: ['127.0.0.1'], now: Date.now() }),
    policy: goodPolicy(),
    version: '0.0.0-test',
    issuer: 'https://verifier.example',
    log: (level, event, fields) => lines.push({ level, event, fields }),
    now: () => clock.now,
    judges: { threads: 1 },
    ...options,
  };
  const rig = {
    verifier: await startVerifier(full),
    ca,
    clock,
    lines,
    client: (key?: KeyObject): Client => connect(rig.verifier, { ca, ...(key && { key }) }),
    async operator(role: 'viewer' | 'operator' | 'admin' = 'admin'): Promise<Client> {
      const made = { name: role, role, now: clock.now, expires: null, actor: 'test' } as const;
      const { token } = await createToken(rig.verifier.store, made);
      return connect(rig.verifier, { ca, headers: { authorization: `Bearer ${token}` } });
    },
    async prepare(): Promise<string> {
      const { manifest, referenceValues } = release({ version: '1.1', boot: goodBoot });
      using operator = await rig.operator('operator');
      const body = {
        manifest: base64(manifest),
        referenceValues: base64(referenceValues),
        state: 'promoted',
      };
      const { json } = await operator.send('POST', '/v1/releases', body);
      await operator.send('POST', `/v1/nodes/${modelNode}/approval`);
      return String(json['id']);
    },
    async restart(): Promise<void> {
      await rig.verifier.close();
      rig.verifier = await startVerifier(full);
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await rig.verifier.close();
      dir[Symbol.dispose]();
    },
  };
  return rig;
}

export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

/** A self-signed client certificate, as nodes make them for a P-256 key. */
export function selfSigned(key: KeyObject): string {
  const publicKey = new Uint8Array(createPublicKey(key).export({ format: 'der', type: 'spki' }));
  const plan = planCertificate({
    commonName: 'node',
    serial: Uint8Array.of(1),
    notBefore: Date.now() - 1000,
    notAfter: Date.now() + 86_400_000,
    publicKey,
    keyKind: key.asymmetricKeyType === 'rsa' ? 'rsa' : 'ec',
    digestAlgorithm: 'sha256',
    extensions: [],
  });
  return encodePem('CERTIFICATE', plan.finish(sign('sha256', plan.toSign, key)));
}

interface ConnectOptions {
  readonly ca: string;
  readonly key?: KeyObject;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A client of a verifier elsewhere. */
export function connectTo(
  { port, ca }: { readonly port: number; readonly ca: string },
  key: KeyObject,
): Client {
  return connect({ port }, { ca, key });
}

function connect({ port }: Pick<Verifier, 'port'>, { ca, key, headers = {} }: ConnectOptions): Client {
  const agent = new Agent({
    ca,
    keepAlive: true,
    ...(key && { cert: selfSigned(key), key: key.export({ format: 'pem', type: 'pkcs8' }) }),
  });
  return {
    send: async (method, path, body, more = {}) =>
      new Promise((resolve, reject) => {
        const content =
          body === undefined
            ? undefined
            : body instanceof Uint8Array
              ? body
              : Buffer.from(JSON.stringify(body));
        const outgoing = request(
          { host: '127.0.0.1', port, method, path, agent, headers: { ...headers, ...more } },
          (incoming) => {
            const parts: Buffer[] = [];
            incoming.on('data', (part: Buffer) => parts.push(part));
            incoming.on('end', () => {
              const bytes = Buffer.concat(parts);
              resolve({
                status: incoming.statusCode ?? 0,
                bytes,
                json: jsonOf(bytes),
                headers: incoming.headers,
              });
            });
            incoming.on('error', reject);
          },
        );
        outgoing.on('error', reject);
        outgoing.end(content);
      }),
    [Symbol.dispose]: () => agent.destroy(),
  };
}

function jsonOf(bytes: Buffer): Record<string, unknown> {
  try {
    return JSON.parse(bytes.toString()) as Record<string, unknown>;
  } catch {
    return {};
  }
}

/** The first half of an enrolment of the model's TPM. */
export async function beginModel(
  client: Client,
  name = 'worker-1',
  ak: TpmPublic = goodPlan().ak,
  ekCertificates: readonly Uint8Array[] = [],
): Promise<Reply> {
  return client.send('POST', '/v1/enrolments', {
    ek: base64(encodePublicArea(endorsementKeyArea('endorsementKey'))),
    ekCertificates: ekCertificates.map(base64),
    ak: base64(encodePublicArea(ak)),
    name,
  });
}

/** Enrols the model's TPM. @returns the last answer */
export async function enrolModel(
  client: Client,
  name = 'worker-1',
  ak: TpmPublic = goodPlan().ak,
  ekCertificates: readonly Uint8Array[] = [],
): Promise<Reply> {
  const begun = await beginModel(client, name, ak, ekCertificates);
  if (begun.status !== 201) return begun;
  const credential = {
    credential: new Uint8Array(Buffer.from(String(begun.json['credential']), 'base64')),
    secret: new Uint8Array(Buffer.from(String(begun.json['secret']), 'base64')),
  };
  const ek = endorsementKeyArea('endorsementKey');
  const opening = { ek, privateKey: privateKey('endorsementKey'), name: publicAreaName(ak) };
  const secret = openCredential(credential, opening);
  const path = `/v1/enrolments/${String(begun.json['enrolment'])}/activation`;
  return client.send('POST', path, { secret: base64(secret ?? new Uint8Array()) });
}

/** Asks for a nonce and hands in the model's evidence, changed as told. */
export async function proveModel(client: Client, change: Partial<Plan> = {}): Promise<Reply> {
  const asked = await client.send('POST', '/v1/nonces', { node: modelNode, purpose: 'evidence' });
  if (asked.status !== 200) return asked;
  return client.send('POST', '/v1/evidence', modelEvidence(String(asked.json['nonce']), change));
}

export function modelEvidence(nonce: string, change: Partial<Plan> = {}): Uint8Array {
  const plan = { ...goodPlan(), nonce: new Uint8Array(Buffer.from(nonce, 'base64')), ...change };
  return encodeEvidence(settlePlan(plan).evidence);
}

export const modelTlsKey: KeyObject = privateKey('tls');
export const modelTlsSpki: Uint8Array = spki('tls');

export function newTlsKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}
