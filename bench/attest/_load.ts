/** Machines that ask for nonces and hand in evidence over keep-alive TLS connections, as cheaply as it goes. */

import { sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { DerReader } from '@osguard/formats/der';
import { encodePem, planCertificate } from '@osguard/formats/x509';
import { toHex } from '@osguard/formats/bytes';
import { evidenceQualifyingData } from '@osguard/attest/protocol';
import {
  encodeAttest,
  encodeTpmSignature,
  handleName,
  pcrSelectionDigest,
  qualifiedName,
  tpmHandle,
} from '@osguard/formats/tpm2';
import { quotedPcrs } from '../../packages/attest/negative/model/baseline.ts';
import { fixtures, paddedLog, valuesOf } from './_evidence.ts';
import type { Plan } from './_plan.ts';

export interface Response {
  readonly status: number;
  readonly body: string;
}

/** One request at a time over one connection. */
export interface Line {
  /** @param body in parts, so that what is always the same need not be put together again */
  send(method: string, path: string, body: string | readonly (string | Buffer)[]): Promise<Response>;
  readonly closed: Promise<void>;
  close(): void;
}

export interface LineOptions {
  readonly port: number;
  /** PEM. */
  readonly ca: string;
  readonly plan: Plan;
  /** Sent with every request. */
  readonly header?: string;
}

export async function openLine({ port, ca, plan, header = '' }: LineOptions): Promise<Line> {
  const key = plan.tlsKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  const socket: TLSSocket = connect({ host: '127.0.0.1', port, ca, cert: selfSigned(plan), key });
  socket.setNoDelay(true);
  const closed = Promise.withResolvers<void>();
  socket.on('close', () => closed.resolve());
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('error', reject);
  });
  let waiting: { resolve: (response: Response) => void; reject: (error: Error) => void } | undefined;
  let received: Buffer = Buffer.alloc(0);
  const fail = (): void => {
    waiting?.reject(new Error('the connection ended'));
    waiting = undefined;
  };
  socket.on('error', fail);
  socket.on('close', fail);
  socket.on('data', (part: Buffer) => {
    received = received.length === 0 ? part : Buffer.concat([received, part]);
    const end = received.indexOf('\r\n\r\n');
    if (end < 0) return;
    const head = received.toString('latin1', 0, end);
    const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
    if (received.length < end + 4 + length) return;
    const body = received.toString('utf8', end + 4, end + 4 + length);
    received = Buffer.alloc(0);
    const settled = waiting;
    waiting = undefined;
    settled?.resolve({ status: Number(head.slice(9, 12)), body });
  });
  return {
    closed: closed.promise,
    async send(method, path, body) {
      return new Promise((resolve, reject) => {
        if (socket.destroyed) {
          reject(new Error('the connection ended'));
          return;
        }
        waiting = { resolve, reject };
        const parts = typeof body === 'string' ? [body] : body;
        const length = parts.reduce((sum, part) => sum + Buffer.byteLength(part), 0);
        socket.cork();
        socket.write(
          `${method} ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n${header}content-length: ${length}\r\n\r\n`,
        );
        for (const part of parts) socket.write(part);
        socket.uncork();
      });
    },
    close: () => socket.destroy(),
  };
}

function selfSigned({ tlsKey, channelKey }: Plan): string {
  const plan = planCertificate({
    commonName: 'machine',
    serial: Uint8Array.of(1),
    notBefore: Date.now() - 60_000,
    notAfter: Date.now() + 86_400_000,
    publicKey: channelKey,
    keyKind: 'ec',
    digestAlgorithm: 'sha256',
    extensions: [],
  });
  return encodePem('CERTIFICATE', plan.finish(sign('sha256', plan.toSign, tlsKey)));
}

/** As a TPM gives them, from DER; asking Node for the other form takes twice as long. */
function ecdsaNumbers(der: Uint8Array): readonly [Uint8Array, Uint8Array] {
  const numbers = new DerReader(der).sequence('signature');
  const next = (): Uint8Array => {
    const value = numbers.integer('number of the signature');
    return value[0] === 0 ? value.subarray(1) : value;
  };
  return [next(), next()];
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

/** In two parts. */
export type EvidenceMaker = (node: string, nonce: string) => readonly [string, Buffer];

/** Makes evidence for any machine and nonce; what does not depend on them is encoded once. */
export function evidenceMaker(plan: Plan): EvidenceMaker {
  const firmwareLog = paddedLog();
  const userspaceLog = readFileSync(join(fixtures, 'userspace.log'), 'utf8');
  const values = valuesOf(firmwareLog, userspaceLog);
  const selections = [{ bank: 'sha256', pcrs: quotedPcrs }] as const;
  const qualifiedSigner = qualifiedName(handleName(tpmHandle.owner), plan.area);
  const pcrDigest = pcrSelectionDigest(selections, { sha256: values }, 'sha256');
  const started = Date.now();
  const rest = Buffer.from(
    JSON.stringify({
      pcrs: { sha256: Object.fromEntries([...values].map(([pcr, value]) => [pcr, toHex(value)])) },
      firmwareLog: text(firmwareLog),
      userspaceLog,
      tlsKey: text(plan.channelKey),
      agent: { version: '0.1.0' },
    }).slice(1),
  );
  return (node, nonce) => {
    const raw = new Uint8Array(Buffer.from(nonce, 'base64'));
    const quote = encodeAttest({
      type: 'quote',
      qualifiedSigner,
      extraData: evidenceQualifyingData({ nonce: raw, tlsKey: plan.channelKey }),
      clockInfo: { clock: BigInt(Date.now() - started + 60_000), resetCount: 9, restartCount: 0, safe: true },
      firmwareVersion: 1n,
      pcrSelections: selections,
      pcrDigest,
    });
    const [r, s] = ecdsaNumbers(sign('sha256', quote, plan.attestationKey));
    const signature = encodeTpmSignature({ scheme: 'ecdsa', hash: 'sha256', r, s });
    const head = `{"schema":"osguard/evidence/v1","node":"${node}","nonce":"${nonce}","quote":"${text(quote)}","signature":"${text(signature)}",`;
    return [head, rest];
  };
}
