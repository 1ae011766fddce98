import { findTrustPath, importPublicKey, parseCertificate } from '@osguard/formats/x509';
import { defineFuzz } from '@osguard/testkit';
import type { FuzzTarget } from '@osguard/testkit';
import { makeSigner } from '../test-signer.ts';

const seeds = (['rsa', 'ec'] as const).map((kind) => makeSigner('fuzz', kind).certificate.der);

export const target: FuzzTarget = defineFuzz({
  name: 'certificate',
  seeds: () => seeds,
  run(bytes) {
    const certificate = parseCertificate(bytes);
    findTrustPath(certificate, { trusted: [], others: [certificate] });
    return importPublicKey(certificate);
  },
});
