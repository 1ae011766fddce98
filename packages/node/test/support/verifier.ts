/** A small verifier that checks only what the agent has to get right: the channel, the credential, the quote. */

import { createHash, generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { EvidenceMessage } from '@osguard/attest/protocol';
import {
  enrolmentRequestSchema,
  evidenceMessageSchema,
  evidenceQualifyingData,
  paths,
} from '@osguard/attest/protocol';
import { derBoolean, derElement, derSequence } from '@osguard/formats/der';
import type { TpmPublic } from '@osguard/formats/tpm2';
import {
  makeCredential,
  parseAttest,
  parsePublicArea,
  parseTpmSignature,
  pcrSelectionDigest,
  publicAreaName,
  verifyTpmSignature,
} from '@osguard/formats/tpm2';
import { encodePem, extensionOids, planCertificate } from '@osguard/formats/x509';

export interface TestVerifier extends AsyncDisposable {
  readonly address: string;
  /** PEM. */
  readonly ca: string;
  /** What happened, in order. */
  readonly log: string[];
  /** Changes what the next proofs get. */
  verdict: 'trusted' | 'refused';
  /** Everything is answered with status 503 while set. */
  down: boolean;
}

/** A self-signed server certificate for 127.0.0.1 that is its own authority. */
export function serverCertificate(): { readonly certificate: string; readonly key: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const plan = planCertificate({
    commonName: 'verifier',
    serial: Uint8Array.of(1),
    notBefore: Date.now() - 3_600_000,
    notAfter: Date.now() + 3_600_000,
    publicKey: Uint8Array.from(publicKey.export({ type: 'spki', format: 'der' })),
    keyKind: 'ec',
    digestAlgorithm: 'sha256',
    extensions: [
      { oid: extensionOids.basicConstraints, critical: true, value: derSequence(derBoolean(true)) },
      {
        oid: extensionOids.subjectAltName,
        critical: false,
        value: derSequence(derElement(0x87, Uint8Array.of(127, 0, 0, 1))),
      },
    ],
  });
  return {
    certificate: encodePem('CERTIFICATE', plan.finish(sign('sha256', plan.toSign, privateKey))),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

export async function startTestVerifier(): Promise<TestVerifier> {
  const { certificate, key } = serverCertificate();
  const log: string[] = [];
  const nodes = new Map<string, TpmPublic>();
  let pending: { readonly node: string; readonly ak: TpmPublic; readonly secret: Buffer } | undefined;
  let nonce: Buffer | undefined;
  const trustedKeys = new Set<string>();
  const pcrs = [0, 4, 7, 11];

  function enrol(body: unknown): unknown {
    const request = enrolmentRequestSchema.parse(body);
    const ekBytes = Buffer.from(request.ek, 'base64');
    const node = createHash('sha256').update(ekBytes).digest('hex');
    const ak = parsePublicArea(Buffer.from(request.ak, 'base64'));
    const secret = randomBytes(32);
    pending = { node, ak, secret };
    const made = makeCredential(parsePublicArea(ekBytes), {
      name: publicAreaName(ak),
      secret,
      random: (size) => Uint8Array.from(randomBytes(size)),
    });
    log.push(`enrol ${request.name}, ${request.ekCertificates.length} certificates`);
    return {
      enrolment: 'A'.repeat(22),
      credential: Buffer.from(made.credential).toString('base64'),
      secret: Buffer.from(made.secret).toString('base64'),
      expires: new Date(Date.now() + 60_000).toISOString(),
    };
  }

  function activate(body: { readonly secret?: unknown }): unknown {
    if (pending === undefined || body.secret !== pending.secret.toString('base64'))
      return refuse(403, 'activation-refused');
    nodes.set(pending.node, pending.ak);
    log.push('activated');
    return { node: pending.node };
  }

  function judge(message: EvidenceMessage, channelKey: string): unknown {
    const ak = nodes.get(message.node);
    if (ak === undefined || nonce === undefined) return refuse(404, 'unknown-node');
    const quote = Buffer.from(message.quote, 'base64');
    const attest = parseAttest(quote);
    const signature = parseTpmSignature(Buffer.from(message.signature, 'base64'));
    const values = new Map(
      Object.entries(message.pcrs.sha256).map(([pcr, hex]) => [Number(pcr), Buffer.from(hex, 'hex')]),
    );
    const expected = evidenceQualifyingData({ nonce, tlsKey: Buffer.from(message.tlsKey, 'base64') });
    const right =
      message.tlsKey === channelKey &&
      attest.type === 'quote' &&
      verifyTpmSignature(ak, signature, quote) &&
      Buffer.compare(attest.extraData, expected) === 0 &&
      [...values.keys()].join() === pcrs.join() &&
      Buffer.compare(
        attest.pcrDigest,
        pcrSelectionDigest(attest.pcrSelections, { sha256: values }, signature.hash),
      ) === 0;
    if (!right) return refuse(403, 'evidence-refused');
    log.push(`proved: ${server.verdict}`);
    if (server.verdict === 'trusted') trustedKeys.add(channelKey);
    return {
      verdict: server.verdict,
      checks: [{ id: 'test', ok: server.verdict === 'trusted', message: 'as told' }],
      token: null,
      secrets: server.verdict === 'trusted' ? ['join-token'] : [],
      expires: new Date(Date.now() + 60_000).toISOString(),
    };
  }

  const http = createServer(
    { cert: certificate, key, requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.3' },
    (request, response) => {
      const { socket } = request;
      const peer = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
      const channelKey = peer?.publicKey.export({ type: 'spki', format: 'der' }).toString('base64') ?? '';
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const body: Record<string, unknown> =
          parts.length === 0 ? {} : JSON.parse(Buffer.concat(parts).toString('utf8'));
        const url = request.url ?? '';
        let answer: unknown;
        if (server.down) answer = refuse(503, 'unavailable');
        else if (url === paths.enrolments) answer = enrol(body);
        else if (url.endsWith('/activation')) answer = activate(body);
        else if (url === paths.nonces) {
          const { node } = body;
          nonce = randomBytes(32);
          answer =
            typeof node === 'string' && nodes.has(node)
              ? {
                  nonce: nonce.toString('base64'),
                  expires: new Date(Date.now() + 60_000).toISOString(),
                  pcrs,
                }
              : refuse(404, 'unknown-node');
        } else if (url === paths.evidence) answer = judge(evidenceMessageSchema.parse(body), channelKey);
        else if (url === `${paths.secrets}/join-token` && trustedKeys.has(channelKey)) {
          response.end('the secret');
          return;
        } else answer = refuse(404, 'not-found');
        const status = answer instanceof Refusal ? answer.status : 200;
        response.writeHead(status, { 'content-type': 'application/json' });
        response.end(JSON.stringify(answer instanceof Refusal ? { reason: answer.reason } : answer));
      });
    },
  );
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const { port } = http.address() as AddressInfo;
  const server: TestVerifier = {
    address: `https://127.0.0.1:${port}`,
    ca: new X509Certificate(certificate).toString(),
    log,
    verdict: 'trusted',
    down: false,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        http.close(() => resolve());
        http.closeAllConnections();
      }),
  };
  return server;
}

class Refusal {
  readonly status: number;
  readonly reason: string;
  constructor(status: number, reason: string) {
    this.status = status;
    this.reason = reason;
  }
}

function refuse(status: number, reason: string): Refusal {
  return new Refusal(status, reason);
}
