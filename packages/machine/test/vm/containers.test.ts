/** Containers in the enforcing host, with real containerd: what happens when something dies, comes twice or goes away. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { buildImage, defaultCacheFolder, openRelease } from '@osguard/image';
import type { ReleaseFolder } from '@osguard/image';
import { initKeys, loadKeyring } from '@osguard/keys';
import type { Keyring } from '@osguard/keys';
import { buildNodeExecutable } from '@osguard/node';
import { scratch } from '@osguard/testkit';

import type { BootedHost } from '../../src/containers/boot.ts';
import { bootContainerHost } from '../../src/containers/boot.ts';
import type { Outcome } from '../../src/containers/container-host.ts';
import { importImages } from '../../src/containers/container-rows.ts';
import { layoutFolder } from '../../src/containers/container-volume.ts';
import { greeting } from '../../src/containers/greeting-program.ts';
import type { TestImageName } from '../../src/containers/test-images.ts';
import { archiveName } from '../../src/containers/test-images.ts';
import { parseCleanBoot } from '../../src/prove/clean-boot.ts';
import { openTools } from '../../src/tools/open.ts';

const definition = join(import.meta.dirname, '../../../../definitions/container-host.yaml');
const sink = (): void => undefined;
const kill = ['/usr/bin/systemctl', 'kill', '--signal=KILL', 'osguard-layers.service'];

describe('containers of the host', { timeout: 25 * 60_000 }, () => {
  const folder = scratch('containers');
  let booted: BootedHost | undefined;

  before(async () => {
    const { release, keyring } = await releaseToUse();
    const tools = await openTools({ sets: ['run', 'intruder'] });
    const place = folder.file('boot');
    booted = await bootContainerHost({
      release,
      keyring,
      tools,
      folder: place,
      images: true,
      network: false,
      sink,
    });
  });
  after(async () => {
    await booted?.[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  });

  const machine = (): BootedHost => booted ?? assert.fail('the host did not boot');
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
    const held = await host.list('/var/lib/osguard/layers');
    assert.ok(held.includes(rootHash('signed')), held.join(' '));
    const names = ['signed', 'inside', 'stored', 'revoked'] as const;
    await host.must(host.ctr('images', 'rm', '--sync', ...names.map(reference)), 'images');
    for (let tries = 0; tries < 10 && (await layersLeft()).length > 0; tries += 1) await pause();
    assert.deepEqual(await layersLeft(), []);
    assert.deepEqual(
      (await host.list('/dev/mapper')).filter((name) => name.startsWith('osguard-layer')),
      [],
    );
    assert.deepEqual(await host.list('/run/osguard-layers/layers'), []);
    assert.deepEqual(await host.list('/var/lib/osguard/snapshots'), []);
    const loops = await host.must(host.program(['/usr/sbin/losetup', '--list', '--noheadings']), 'losetup');
    assert.doesNotMatch(loops.output, /osguard/);
  });

  it('brings a removed image back', async () => {
    const { host } = machine();
    const archive = `${layoutFolder}/${archiveName}`;
    await host.must(host.ctr('images', 'import', '--no-unpack', archive), 'import');
    greets(await host.run(reference('signed')));
  });

  async function layersLeft(): Promise<readonly string[]> {
    return (await machine().host.list('/var/lib/osguard/layers')).filter((name) => name !== 'incoming');
  }

  /** `OSGUARD_RELEASE` and `OSGUARD_KEYS` name one that is there; without them it is built, which is quick when cached. */
  async function releaseToUse(): Promise<{ release: ReleaseFolder; keyring: Keyring }> {
    const { OSGUARD_RELEASE: ready, OSGUARD_KEYS: keys } = process.env;
    if (ready !== undefined && keys !== undefined) {
      return { release: await openRelease(ready), keyring: await loadKeyring(keys) };
    }
    await initKeys(folder.file('keys'));
    const keyring = await loadKeyring(folder.file('keys'));
    const cacheFolder = defaultCacheFolder();
    const { release } = await buildImage({
      definition,
      keyring,
      output: folder.file('release'),
      cacheFolder,
      nodeProgram: () => buildNodeExecutable({ cacheFolder }),
      sink: () => undefined,
    });
    return { release, keyring };
  }
});

function greets({ output }: Outcome): void {
  assert.ok(output.includes(greeting.trim()), output);
}

/** systemd needs a moment to start a service again. */
async function again(run: () => Promise<Outcome>): Promise<Outcome> {
  for (let tries = 0; ; tries += 1) {
    const outcome = await run();
    if (outcome.ok || tries === 5) return outcome;
    await pause();
  }
}

async function pause(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 2000));
}
