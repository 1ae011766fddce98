/** The container host is built twice, differently, and must come out the same; independent tools judge the result. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { initKeys } from '@osguard/keys';
import { judge, noJudge, scratch } from '@osguard/testkit';
import { defaultCacheFolder, openRelease } from '../../src/index.ts';
import type { ReleaseFolder } from '../../src/index.ts';

const root = join(import.meta.dirname, '../../../..');
const definition = join(root, 'definitions/container-host.yaml');

function judged(t: TestContext, name: string, args: readonly string[]): void {
  const tool = judge(name);
  if (tool === undefined) return t.skip(noJudge(name));
  const said = tool.run(args);
  assert.equal(said.status, 0, said.stdout + said.stderr);
}

describe('the container host, built twice from one lock', { timeout: 20 * 60_000 }, () => {
  const folder = scratch('build');
  let release: ReleaseFolder;
  let keys: string;
  before(async () => {
    // `./test` built one for all.
    const { OSGUARD_RELEASE: ready, OSGUARD_KEYS: its } = process.env;
    keys = its ?? folder.file('keys');
    if (ready === undefined || its === undefined) {
      await initKeys(keys);
      osguard(['image', 'build', '-f', definition, '-o', folder.file('first')], {});
    }
    release = await openRelease(ready ?? folder.file('first'));
  });
  after(() => folder[Symbol.dispose]());

  function osguard(args: readonly string[], env: Readonly<Record<string, string>>): void {
    const all = [...args, ...(args[1] === 'build' ? ['--keys', keys] : [])];
    const done = spawnSync(join(root, 'osguard'), all, { env: { ...process.env, ...env }, encoding: 'utf8' });
    assert.equal(
      done.status,
      0,
      `osguard ${args.join(' ')}: ${done.stderr.slice(-3000)}${done.stdout.slice(-3000)}`,
    );
  }

  it('gives the same bits without any cache but the packages, in another place, time zone and language', async () => {
    const cache = folder.file('elsewhere/cache');
    mkdirSync(join(cache, 'osguard'), { recursive: true });
    symlinkSync(join(defaultCacheFolder(), 'packages'), join(cache, 'osguard/packages'));
    const lock = release.file('osguard.lock');
    const again = folder.file('elsewhere/again');
    osguard(['image', 'build', '-f', definition, '-o', again, '--lock', lock], {
      XDG_CACHE_HOME: cache,
      TZ: 'Pacific/Auckland',
      LC_ALL: 'de_DE.UTF-8',
    });
    const second = await openRelease(again);
    assert.deepEqual(second.manifest, release.manifest);
    assert.deepEqual(readFileSync(second.file('release.json')), readFileSync(release.file('release.json')));
  });

  it('verifies against its keys, and stays within the sizes that are promised', () => {
    osguard(['image', 'verify', release.path, '--trust', keys], {});
    const sizeOf = (name: string): number =>
      release.manifest.files.find(({ path }) => path === name)?.size ?? 0;
    assert.ok(release.manifest.packages.count <= 150, `${release.manifest.packages.count} packages`);
    // The agent's program comes on top of what a plain container host may have.
    const mostNode = 110e6;
    assert.ok(sizeOf('usr.erofs') <= 250e6 + mostNode, `/usr has ${sizeOf('usr.erofs')} bytes`);
    assert.ok(sizeOf('uki.efi') <= 35e6, `the UKI has ${sizeOf('uki.efi')} bytes`);
  });

  it('veritysetup agrees', (t) => {
    const { rootHash } = release;
    judged(t, 'veritysetup', ['verify', release.file('usr.erofs'), release.file('usr.verity'), rootHash]);
  });
  it('fsck.erofs agrees', (t) => judged(t, 'fsck.erofs', [release.file('usr.erofs')]));
  it('sgdisk agrees', (t) => judged(t, 'sgdisk', ['-v', release.file('disk.raw')]));
  it('sbverify agrees', (t) =>
    judged(t, 'sbverify', ['--cert', join(keys, 'boot.crt'), release.file('uki.efi')]));
});
