/** Throw-away certificates for the tests of this room, which must not know the keys room. */

import { generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { parseCertificate, planCertificate } from '@osguard/formats/x509';
import type { Certificate } from '@osguard/formats/x509';
import type { DigestAlgorithm } from '@osguard/formats/x509';

export interface TestSigner {
  readonly key: KeyObject;
  readonly certificate: Certificate;
}

export function makeSigner(commonName: string, kind: 'rsa' | 'ec' = 'rsa'): TestSigner {
  const { privateKey, publicKey } =
    kind === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const plan = planCertificate({
    commonName,
    serial: Uint8Array.of(0x81, 2, 3),
    notBefore: Date.UTC(2026, 0, 1),
    notAfter: Date.UTC(2056, 0, 1),
    publicKey: publicKey.export({ format: 'der', type: 'spki' }),
    keyKind: kind,
    digestAlgorithm: 'sha256',
    extensions: [],
  });
  const der = plan.finish(sign('sha256', plan.toSign, privateKey));
  return { key: privateKey, certificate: parseCertificate(der) };
}

export interface Plan<Signed> {
  readonly digestAlgorithm: DigestAlgorithm;
  readonly toSign: Uint8Array;
  finish(signature: Uint8Array): Signed;
}

export function finish<Signed>(signer: TestSigner, plan: Plan<Signed>): Signed {
  return plan.finish(sign(plan.digestAlgorithm, plan.toSign, signer.key));
}
