/** A pull that goes wrong: the registry goes away or is slow, the disk is full, the clock is wrong. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import type { Scene } from './containers-scene.ts';
import {
  bigSize,
  forget,
  greets,
  layersFolder,
  mebibyte,
  mustPull,
  pull,
  refused,
} from './containers-scene.ts';

const filler = '/var/filler';

export function faultTests(scene: () => Scene): void {
  it('says that the registry went away, keeps what it has, and goes on with it', async (t) => {
    const { rig, images } = scene();
    const { host } = rig.booted;
    rig.front.fail({ of: 'osguard', goneAfter: 13 * mebibyte });
    refused(
      await pull(host, images.big),
      /osguard: no signed image of layer .* could be fetched: .*10\.0\.2\.2:\d+\/big.*ECONNREFUSED/,
      t,
    );
    const kept = await host.list(`${layersFolder}/incoming`);
    assert.ok(
      kept.some((name) => name.endsWith('.part')),
      kept.join(' '),
    );
    await rig.front.open();
    const rest = rig.front.count('osguard');
    await mustPull(host, images.big);
    const fetched = rest();
    t.diagnostic(`${(fetched / mebibyte).toFixed(1)} MiB were fetched the second time`);
    assert.ok(fetched < bigSize - 8 * mebibyte, `${fetched} bytes were fetched again`);
    greets(await host.run(images.big.reference));
    await forget(host, images.big);
  });

  it('says so too when it went away from containerd', async (t) => {
    const { rig, images } = scene();
    const { host } = rig.booted;
    rig.front.fail({ of: 'containerd', goneAfter: 8 * mebibyte });
    refused(await pull(host, images.big), /connection refused|EOF|reset by peer/, t);
    await rig.front.open();
  });

  it('waits for a slow registry', async (t) => {
    const { rig, images } = scene();
    const { host } = rig.booted;
    rig.front.fail({ of: 'osguard', rate: 4 * mebibyte });
    const { seconds } = await mustPull(host, images.big);
    t.diagnostic(`${Math.round(seconds)} s at 4 MiB/s`);
    await rig.front.open();
    greets(await host.run(images.big.reference));
    await forget(host, images.big);
  });

  it('says that the disk is full, takes nothing of it, and pulls once there is room', async (t) => {
    const { rig, images } = scene();
    const { host } = rig.booted;
    const leave = async (bytes: number): Promise<void> => {
      await host.must(host.ask('fill-disk', { path: filler, leave: bytes }), filler);
    };
    const free = async (): Promise<void> => {
      await host.must(host.ask('remove-file', { path: filler }), filler);
    };
    await mustPull(host, images.app);
    // Room for what containerd fetches, not for the verity image.
    await leave(bigSize + 12 * mebibyte);
    refused(await pull(host, images.big), /osguard: no space left for layer .*ctr images rm/, t);
    assert.deepEqual(await host.list(`${layersFolder}/incoming`), []);
    greets(await host.run(images.app.reference));
    await free();
    // Nothing fits any more, and containerd is the first to see it.
    await leave(4 * mebibyte);
    await host.ctr('content', 'rm', ...(await contentOf(scene())));
    refused(await pull(host, images.big), /no space left/, t);
    await free();
    await mustPull(host, images.big);
    greets(await host.run(images.big.reference));
    await forget(host, images.big);
  });

  it('needs no right clock', async (t) => {
    const { rig, images } = scene();
    const { host } = rig.booted;
    const year = 365 * 24 * 3600;
    for (const seconds of [-10 * year, 30 * year]) {
      const moved = await host.must(host.ask('set-clock', { seconds }), 'the clock');
      t.diagnostic(moved.output);
      await forget(host, images.second);
      await mustPull(host, images.second);
      greets(await host.run(images.second.reference));
    }
    await host.must(host.ask('set-clock', { seconds: -20 * year }), 'the clock');
  });
}

/** Blobs of the image that containerd still has. */
async function contentOf({ rig }: Scene): Promise<readonly string[]> {
  const { output } = await rig.booted.host.ctr('content', 'ls', '-q', `size>${mebibyte}`);
  return output.match(/sha256:[0-9a-f]{64}/g) ?? [];
}
