/** What every implementation of Signer must do; run it on each (file, PKCS #11, KMS). */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { isSignedBy } from '@osguard/formats/x509';
import type { Signer } from '@osguard/keys';

export interface SignerUnderTest {
  readonly signer: Signer;
  /** Pieces of the private key that must not show anywhere; empty when the key never leaves its device. */
  readonly secrets: readonly string[];
}

export function signerContract(name: string, make: () => Promise<SignerUnderTest>): void {
  test(`${name}: signatures verify with the certificate, for every digest`, async () => {
    const { signer } = await make();
    for (const digestAlgorithm of ['sha256', 'sha384', 'sha512'] as const) {
      for (const data of [new Uint8Array(), Buffer.from('x'), new Uint8Array(100_000)]) {
        const signature = await signer.sign(digestAlgorithm, data);
        assert.ok(isSignedBy(signer.certificate, { digestAlgorithm, data, signature }));
        const other = Buffer.concat([data, Uint8Array.of(1)]);
        assert.ok(!isSignedBy(signer.certificate, { digestAlgorithm, data: other, signature }));
      }
    }
  });

  test(`${name}: RSA signatures are deterministic`, async (context) => {
    const { signer } = await make();
    if (signer.certificate.keyKind !== 'rsa') return context.skip('not an RSA key');
    const data = Buffer.from('twice');
    assert.deepEqual(await signer.sign('sha256', data), await signer.sign('sha256', data));
    return undefined;
  });

  test(`${name}: signatures in parallel do not mix`, async () => {
    const { signer } = await make();
    const inputs = Array.from({ length: 8 }, (_, i) => Buffer.from(`input ${i}`));
    const signatures = await Promise.all(inputs.map((data) => signer.sign('sha256', data)));
    for (const [i, data] of inputs.entries()) {
      const signature = signatures[i] ?? new Uint8Array();
      assert.ok(isSignedBy(signer.certificate, { digestAlgorithm: 'sha256', data, signature }));
    }
  });

  test(`${name}: nothing of the private key shows`, async () => {
    const { signer, secrets } = await make();
    const shown = [
      JSON.stringify(signer),
      Object.prototype.toString.call(signer),
      inspect(signer, { depth: 12, showHidden: true, getters: true }),
      JSON.stringify(Object.getOwnPropertyDescriptors(signer)),
      await failure(signer),
    ].join('\n');
    for (const secret of secrets) assert.ok(!shown.includes(secret));
    assert.doesNotMatch(shown, /PRIVATE KEY|PrivateKey/);
  });
}

async function failure(signer: Signer): Promise<string> {
  try {
    await signer.sign('no-such-digest' as 'sha256', new Uint8Array());
  } catch (error) {
    return `${inspect(error)} ${JSON.stringify(error)} ${error instanceof Error ? (error.stack ?? '') : ''}`;
  }
  throw new Error('an unknown digest was accepted');
}
