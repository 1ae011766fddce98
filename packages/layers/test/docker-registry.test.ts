/** Signing and verifying in the distribution project's own registry, and what skopeo says of the result. */

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { initKeys, loadKeyring } from '@osguard/keys';
import type { Keyring } from '@osguard/keys';
import { openImage, signImage, verifyImage } from '@osguard/layers';
import type { SignReport, VerifyReport } from '@osguard/layers';
import { canRunDockerRegistry, noDockerRegistry, scratch, startDockerRegistry } from '@osguard/testkit';
import { makeImage } from './support/made-image.ts';

const skip = canRunDockerRegistry() ? false : noDockerRegistry;
const files = [
  [{ path: 'bin/a', body: 'first'.repeat(5000), mode: 0o755 }],
  [{ path: 'bin/b', body: 'second' }],
];

async function keys(directory: string): Promise<Keyring> {
  await initKeys(directory, { roles: ['usr', 'layers'] });
  return loadKeyring(directory);
}

async function sign(reference: string, keyring: Keyring): Promise<SignReport> {
  const opened = await openImage(reference);
  try {
    return await signImage(opened, { signer: await keyring.signer('layers'), threads: 1 });
  } finally {
    await opened.store.close();
  }
}

async function verify(reference: string, trust: Keyring, fast = false): Promise<VerifyReport> {
  const opened = await openImage(reference);
  try {
    return await verifyImage(opened, { trust, fast, at: Date.now(), threads: 1 });
  } finally {
    await opened.store.close();
  }
}

suite('docker-registry', { skip }, () => {
  test('push, sign, verify', async () => {
    using dir = scratch('registry');
    await using registry = await startDockerRegistry({ folder: dir.file('registry') });
    const keyring = await keys(dir.file('keys'));
    const reference = `${registry.host}/team/app:1`;
    const opened = await openImage(reference);
    await makeImage(opened.store, { layers: files, tag: '1' });
    await opened.store.close();

    const before = await verify(reference, keyring);
    assert.deepEqual([before.ok, before.reasons], [false, ['signature-missing']]);
    const first = await sign(reference, keyring);
    assert.deepEqual(
      first.images[0]?.layers.map(({ state }) => state),
      ['signed', 'signed'],
    );
    const second = await sign(reference, keyring);
    assert.deepEqual(
      second.images[0]?.layers.map(({ state }) => state),
      ['kept', 'kept'],
    );
    assert.equal(second.images[0]?.signatures, first.images[0]?.signatures);
    for (const fast of [false, true]) {
      const report = await verify(reference, keyring, fast);
      assert.deepEqual([report.ok, report.reasons], [true, []], JSON.stringify(report.checks, undefined, 1));
    }
  });
});
