/** The server's certificate: issued by the role verifier for the names given, for a key that lives in memory only. */

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { encodePem } from '@osguard/formats/x509';
import { issueServerCertificate } from '@osguard/keys';
import type { Signer } from '@osguard/keys';

/** Milliseconds a certificate is valid, and after which the next one is made. */
const validFor = 30 * 86_400_000;
export const renewAfter: number = 10 * 86_400_000;
/** Clients whose clock is a little behind take it too. */
const backdate = 3_600_000;

export interface ServerIdentity {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}

export interface IssueOptions {
  readonly names: readonly string[];
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** @throws KeysError when a name is neither a host nor an address */
export async function issueIdentity(signer: Signer, { names, now }: IssueOptions): Promise<ServerIdentity> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const certificate = await issueServerCertificate(signer, {
    names,
    publicKey: publicKey.export({ format: 'der', type: 'spki' }),
    serial: randomBytes(16),
    notBefore: now - backdate,
    notAfter: now + validFor,
  });
  return {
    cert: encodePem('CERTIFICATE', certificate),
    key: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
  };
}
