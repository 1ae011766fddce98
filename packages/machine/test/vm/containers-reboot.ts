/**
 * The host goes down, by a command or because its power is cut, and comes up with what is on /var: containers start again
 * from layers the kernel verified anew, and what was changed on the disk meanwhile does not.
 */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import type { ContainerHost } from '../../src/containers/container-host.ts';
import type { Scene } from './containers-scene.ts';
import {
  bigSize,
  forget,
  greets,
  layersFolder,
  leftBehind,
  mebibyte,
  mustPull,
  pull,
} from './containers-scene.ts';

const kept = 'kept';
const rootFolder = `/run/containerd/io.containerd.runtime.v2.task/default/${kept}/rootfs`;

export function rebootTests(scene: () => Scene): void {
  /** What `ctr images ls` said before. */
  let listed: readonly string[] = [];

  it('shuts down with a container running', async () => {
    const { rig, images } = scene();
    const { host } = rig.booted;
    for (const image of [images.app, images.flipped]) await mustPull(host, image);
    greets(await host.run(images.flipped.reference));
    const start = ['run', '-d', '--snapshotter', 'osguard', images.app.reference, kept, '/wait'];
    await host.must(host.ctr(...start), kept);
    const note = { path: `${rootFolder}/note`, content: Buffer.from('written before').toString('hex') };
    await host.must(host.ask('put-file', note), 'a file in the container');
    listed = await imagesOf(host);
    const path = `${layersFolder}/${images.flipped.rootHashes[0] ?? ''}/layer.erofs`;
    const offset = await rig.changeable('flipped');
    const { output } = await host.must(host.ask('file-place', { path, offset }), path);
    const place = Number(/: (\d+)$/.exec(output)?.[1]);
    await rig.shutDown();
    await rig.flip(place);
  });

  it('comes up with its images, and starts the container again', async (t) => {
    const { rig } = scene();
    const { host } = await rig.boot('rebooted');
    t.diagnostic(`${Math.round(rig.booted.guest.elapsed / 1000)} s`);
    assert.deepEqual(await imagesOf(host), listed);
    assert.deepEqual(
      await host.list('/run/osguard-layers/layers'),
      [],
      'nothing is open before it is needed',
    );
    await startKept(host);
  });

  it('refuses the layer that was changed while it was off, and heals it', async (t) => {
    const { rig, images } = scene();
    const { host } = rig.booted;
    const { ok, output, kernel } = await host.run(images.flipped.reference);
    assert.equal(ok, false, output);
    t.diagnostic(output.trim());
    t.diagnostic(kernel.find((line) => line.includes('verity')) ?? 'the kernel said nothing');
    assert.ok(
      kernel.some((line) => /verity: .* is corrupted/.test(line)),
      kernel.join('\n'),
    );
    const forgotten = await forget(host, images.flipped);
    assert.ok(
      forgotten.kernel.some((line) => line.includes('is damaged')),
      forgotten.kernel.join('\n'),
    );
    await mustPull(host, images.flipped);
    greets(await host.run(images.flipped.reference));
  });

  it('loses its power in the middle of a pull, with a container running', async () => {
    const { rig, images } = scene();
    const { host } = rig.booted;
    listed = await imagesOf(host);
    const given = rig.front.count('osguard');
    rig.front.fail({ of: 'osguard', rate: 4 * mebibyte });
    const pulling = pull(host, images.cut).catch(() => undefined);
    for (let tries = 0; given() < 12 * mebibyte; tries += 1) {
      assert.ok(tries < 1200, `only ${given()} bytes were fetched`);
      await sleep(100);
    }
    assert.ok(given() < bigSize);
    await rig.cutPower();
    await pulling;
  });

  it('comes up as it was, mounts nothing half written, and pulls it then', async (t) => {
    const { rig, images } = scene();
    await rig.front.open();
    const { host } = await rig.boot('after-power-cut');
    await isServed(host);
    const names = await host.list(layersFolder);
    assert.deepEqual(
      names.filter((name) => images.cut.rootHashes.includes(name)),
      [],
    );
    assert.deepEqual(await host.list('/run/osguard-layers/layers'), []);
    // containerd names an image before it asks for its layers.
    const found = await imagesOf(host);
    assert.deepEqual(
      found.filter((reference) => reference !== images.cut.reference),
      listed,
    );
    await startKept(host);
    greets(await host.run(images.flipped.reference));
    const again = rig.front.count('osguard');
    await mustPull(host, images.cut);
    t.diagnostic(`${(again() / mebibyte).toFixed(1)} MiB were fetched after the power cut`);
    greets(await host.run(images.cut.reference));
  });

  it('leaves nothing behind after all of it', async () => {
    const { host } = scene().rig.booted;
    await stopKept(host);
    const all = await imagesOf(host);
    // What a pull that was cut off had leased, containerd would keep for a day.
    const leases =
      (await host.must(host.ctr('leases', 'ls', '-q'), 'leases')).output.match(/[\w-]{8,}/g) ?? [];
    for (const lease of leases) await host.ctr('leases', 'rm', lease);
    await host.must(host.ctr('images', 'rm', '--sync', ...all), 'images rm');
    for (let tries = 0; tries < 10 && (await leftBehind(host)).length > 0; tries += 1) await sleep(2000);
    assert.deepEqual(await leftBehind(host), []);
  });
}

/** containerd answers before the service of layers does, and asks that again only after some seconds. */
async function isServed(host: ContainerHost): Promise<void> {
  const listed = async (): Promise<readonly string[]> => host.list('/run/osguard-layers');
  for (let tries = 0; !(await listed()).includes('containerd.sock'); tries += 1) {
    assert.ok(tries < 120, 'osguard-layers does not serve');
    await sleep(500);
  }
  await sleep(5000);
}

async function startKept(host: ContainerHost): Promise<void> {
  await host.must(host.ctr('tasks', 'start', '-d', kept), 'start of the container');
  greets(await host.ctr('tasks', 'exec', '--exec-id', `again-${Date.now()}`, kept, '/greet'));
  assert.ok((await host.list(rootFolder)).includes('note'), 'what it wrote is there');
}

async function stopKept(host: ContainerHost): Promise<void> {
  await host.ctr('tasks', 'kill', '--signal', 'SIGKILL', kept);
  await sleep(1000);
  await host.ctr('tasks', 'rm', '-f', kept);
  await host.must(host.ctr('containers', 'rm', kept), 'the container');
}

async function imagesOf(host: ContainerHost): Promise<readonly string[]> {
  const { output } = await host.must(host.ctr('images', 'ls', '-q'), 'images ls');
  return output
    .replace(/^ctr: /, '')
    .split('\n')
    .filter((line) => line.includes('/'))
    .sort();
}
