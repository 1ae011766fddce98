/** What a host is given by the verifier once it has proved itself: the password of a registry, and who may no longer sign. */

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { it } from 'node:test';

import type { Scene } from './containers-scene.ts';
import { again, forget, greets, mustPull, pull, refused } from './containers-scene.ts';

const folder = '/run/osguard/secrets';
const revocations = 'layer-revocations';
/** The host proves itself every ten seconds. */
const pause = 3000;
const mostTries = 40;

export function trustTests(scene: () => Scene): void {
  it('is trusted by the verifier, with the intruder inside that its release is told to expect', async (t) => {
    const { rig } = scene();
    const status = await again(async () => {
      const { output, ...rest } = await rig.booted.host.ask('show-file', {
        path: '/run/osguard/status.json',
      });
      return { ...rest, output, ok: /"state": "trusted"/.test(output) };
    }, 30);
    t.diagnostic(status.output.replaceAll(/\s+/g, ' ').slice(0, 300));
    assert.ok(status.ok, status.output);
  });

  it('pulls from a private registry with the password the verifier gives, and says what is missing before', async (t) => {
    const { rig, images } = scene();
    const { host } = rig.booted;
    const { user, password } = rig.password;
    const login = ['--user', `${user}:${password}`];
    // containerd has the password and the snapshotter has not.
    refused(
      await pull(host, images.private, ...login),
      /no signed image of layer .* could be fetched: .*credentials.*the secret registry\.json/,
      t,
    );
    const auth = Buffer.from(`${user}:${password}`).toString('base64');
    await rig.secret('registry.json', Buffer.from(JSON.stringify({ auths: { [rig.registry]: { auth } } })));
    await until(scene(), async () => (await host.list(folder)).includes('registry.json'));
    const pulled = await pull(host, images.private, ...login);
    assert.ok(pulled.ok, pulled.output);
    greets(await host.run(images.private.reference));
    const { output } = await host.program(['/usr/bin/journalctl', '--no-pager', '-b', '-g', password]);
    assert.doesNotMatch(output, new RegExp(password), 'the password is in no log');
    await forget(host, images.private);
  });

  it('starts nothing of a revoked signer or root hash, whatever older list comes back', async (t) => {
    const { rig, images } = scene();
    const { host } = rig.booted;
    for (const image of [images.app, images.second]) await mustPull(host, image);
    greets(await host.run(images.second.reference));
    const signers = [{ fingerprint: rig.second.certificate.fingerprint, reason: 'its key was lost' }];
    const run = {
      app: () => host.run(images.app.reference),
      second: () => host.run(images.second.reference),
    };
    const give = async (version: number, revoked: Parameters<typeof rig.revocations>[1]): Promise<void> =>
      rig.secret(revocations, await rig.revocations(version, revoked));

    await give(5, { signers });
    await until(scene(), async () => !(await run.second()).ok);
    refused(await run.second(), /who signed .*, was revoked: its key was lost/, t);
    greets(await run.app());

    const rootHashes = [{ rootHash: images.app.rootHashes[0] ?? '', reason: 'it holds a hole' }];
    await give(6, { signers, rootHashes });
    await until(scene(), async () => !(await run.app()).ok);
    refused(await run.app(), /the layer of root hash .* was revoked: it holds a hole/, t);
    refused(await run.second(), /was revoked: its key was lost/);

    // Who has the verifier's older list, or the host's own file of it, does not get the layers back.
    await give(5, { signers });
    await sleep(15_000);
    refused(await run.app(), /it holds a hole/);
    const older = Buffer.from(await rig.revocations(5, { signers })).toString('hex');
    const file = '/var/lib/osguard/revocations.dsse';
    await host.must(host.ask('put-file', { path: file, content: older }), file);
    refused(await run.app(), /it holds a hole/);
    await host.must(host.ask('remove-file', { path: file }), file);

    await give(7, {});
    await until(scene(), async () => (await run.app()).ok);
    greets(await run.app());
    greets(await run.second());
  });
}

/** The host hears of it with its next proof. */
async function until({ rig }: Scene, holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < mostTries; tries += 1) {
    if (await holds()) return;
    await sleep(pause);
  }
  const status = await rig.booted.host.ask('show-file', { path: '/run/osguard/status.json' });
  assert.fail(`the host did not hear of it: ${status.output}`);
}
