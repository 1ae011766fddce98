/** Containers in the enforcing host, with real containerd: what happens when something dies, comes twice or goes away. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { scratch } from '@osguard/testkit';

import type { BootedHost } from '../../src/containers/boot.ts';
import { importImages } from '../../src/containers/container-rows.ts';
import { layoutFolder } from '../../src/containers/container-volume.ts';
import type { TestImageName } from '../../src/containers/test-images.ts';
import { archiveName } from '../../src/containers/test-images.ts';
import { parseCleanBoot } from '../../src/prove/clean-boot.ts';
import { checkTests } from './containers-check.ts';
import { faultTests } from './containers-faults.ts';
import { rebootTests } from './containers-reboot.ts';
import { ContainerRig } from './containers-rig.ts';
import type { Scene } from './containers-scene.ts';
import { again, greets, layersFolder, leftBehind, pushScene } from './containers-scene.ts';
import { trustTests } from './containers-trust.ts';

const kill = ['/usr/bin/systemctl', 'kill', '--signal=KILL', 'osguard-layers.service'];

describe('containers of the host', { timeout: 40 * 60_000 }, () => {
  const folder = scratch('containers');
  let opened: Scene | undefined;

  before(async () => {
    const rig = await ContainerRig.open({ folder, mode: 'enforce' });
    opened = { rig, images: await pushScene(rig) };
    await rig.boot('first');
  });
  after(async () => {
    await opened?.rig[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  });

  const scene = (): Scene => opened ?? assert.fail('there is no host');
  const machine = (): BootedHost => scene().rig.booted;
  const reference = (name: TestImageName): string => machine().files?.images[name].reference ?? assert.fail();
  const rootHash = (name: TestImageName): string => machine().files?.images[name].rootHash ?? assert.fail();

  it('boots without a denial', async () => {
    const state = await machine().intruder.ask('boot-state');
    const facts = parseCleanBoot(state.attempts[0]?.detail ?? '');
    assert.deepEqual(facts?.denials, []);
    assert.deepEqual(facts?.failedUnits, []);
  });

  it('starts one from a signed layer, and none from an unsigned one', async () => {
    const { host } = machine();
    await importImages(host);
    greets(await host.run(reference('signed')));
    const { ok, output } = await host.run(reference('unsigned'));
    assert.equal(ok, false);
    assert.match(output, /is not signed \(looked in: oci:|is not signed \(looked in: \//);
  });

  it('pulls again when osguard-node was killed in the middle', async (t) => {
    const { host } = machine();
    const programs = [{ argv: host.runArguments(reference('inside'), { command: ['/greet'] }) }];
    const [pull] = await host.together([...programs, { argv: kill, after: 2 }]);
    t.diagnostic(`the interrupted pull: ${pull?.ok === true ? 'was faster' : 'failed'}`);
    greets(await again(() => host.run(reference('inside'), { command: ['/greet'] })));
  });

  it('starts the same image twice at once', async () => {
    const { host } = machine();
    const argv = (): readonly string[] => host.runArguments(reference('stored'));
    for (const outcome of await host.together([{ argv: argv() }, { argv: argv() }])) greets(outcome);
  });

  it('leaves a container alone when its service starts anew', async () => {
    const { host } = machine();
    const name = 'stays';
    const started = await host.ctr(
      'run',
      '-d',
      '--snapshotter',
      'osguard',
      reference('revoked'),
      name,
      '/wait',
    );
    assert.ok(started.ok, started.output);
    await host.must(host.program(['/usr/bin/systemctl', 'restart', 'osguard-layers.service']), 'restart');
    greets(await host.ctr('tasks', 'exec', '--exec-id', 'one', name, '/greet'));
    greets(await again(() => host.run(reference('revoked'))));
    await host.ctr('tasks', 'kill', '--signal', 'SIGKILL', name);
    await again(() => host.ctr('tasks', 'rm', name));
    await host.must(host.ctr('containers', 'rm', name), 'the container');
  });

  it('runs one that is read-only', async () => {
    greets(await machine().host.run(reference('signed'), { flags: ['--read-only'] }));
  });

  it('says why there is none whose files would have to change their owners', async (t) => {
    const { host } = machine();
    const flags = ['--uidmap', '0:100000:65536', '--gidmap', '0:100000:65536'];
    // containerd 1.7 makes a copy with other owners, which is in no signed layer.
    const copied = await host.run(reference('signed'), { flags });
    assert.equal(copied.ok, false);
    assert.match(copied.output, /holds no verified layer; only signed layers become part of an image/);
    const labelled = await host.run(reference('signed'), { flags: [...flags, '--remap-labels'] });
    t.diagnostic(`with --remap-labels: ${labelled.output.trim().slice(-300)}`);
  });

  it('leaves nothing behind when the images are removed', async () => {
    const { host } = machine();
    const held = await host.list(layersFolder);
    assert.ok(held.includes(rootHash('signed')), held.join(' '));
    const names = ['signed', 'inside', 'stored', 'revoked'] as const;
    await host.must(host.ctr('images', 'rm', '--sync', ...names.map(reference)), 'images');
    for (let tries = 0; tries < 10 && (await leftBehind(host)).length > 0; tries += 1) await pause();
    assert.deepEqual(await leftBehind(host), []);
  });

  it('brings a removed image back', async () => {
    const { host } = machine();
    const archive = `${layoutFolder}/${archiveName}`;
    await host.must(host.ctr('images', 'import', '--no-unpack', archive), 'import');
    greets(await host.run(reference('signed')));
  });

  describe('with a verifier', () => trustTests(scene));
  describe('and a pull that goes wrong', () => faultTests(scene));
  describe('checked before', () => checkTests(scene));
  describe('that goes down', () => rebootTests(scene));
});

async function pause(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 2000));
}
