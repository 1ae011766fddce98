/** What provenance.json may say, and who may say it. The manifest beside it is always signed by the right key again. */

import assert from 'node:assert/strict';
import { createHash, sign } from 'node:crypto';
import { copyFileSync, cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { inTotoPayloadType, parseDsse, planDsse } from '@osguard/formats/dsse';
import type { ReleaseFile, ReleaseProvenance } from '@osguard/formats/release';
import {
  encodeProvenance,
  encodeRelease,
  parseProvenance,
  releasePayloadType,
} from '@osguard/formats/release';
import type { KeyRole, Keyring } from '@osguard/keys';
import { initKeys, loadKeyring, signDsse } from '@osguard/keys';
import type { Scratch } from '@osguard/testkit';
import { scratch } from '@osguard/testkit';
import { inspectImage, openRelease, verifyImage } from '../src/index.ts';
import { encodeLock } from '../src/packages/index.ts';
import { lockDependencies } from '../src/release/provenance.ts';
import { smallLock, writeSmallRelease } from './small-release.ts';

const payloadOf = (folder: string): Uint8Array =>
  parseDsse(readFileSync(`${folder}/provenance.json`)).payload;

/** Leaves one subject out. */
const without = (name: string) => (good: ReleaseProvenance) => ({
  ...good,
  subjects: good.subjects.filter((each) => each.name !== name),
});

describe('provenance', () => {
  let dir: Scratch;
  let ours: Keyring;
  let made = 0;

  before(async () => {
    dir = scratch('provenance');
    const rsaBits = { usr: 2048, layers: 2048, release: 2048 } as const;
    await initKeys(dir.file('ours'), { rsaBits });
    await initKeys(dir.file('foreign'), { rsaBits, name: 'foreign' });
    ours = await loadKeyring(dir.file('ours'));
    await writeSmallRelease(dir.file('good'), { keyring: ours });
  });
  after(() => dir[Symbol.dispose]());

  function copy(): string {
    made += 1;
    const folder = dir.file(`copy-${made}`);
    cpSync(dir.file('good'), folder, { recursive: true });
    return folder;
  }
  /** The manifest of what is there now, signed by our role release. */
  async function resign(
    folder: string,
    change: (files: ReleaseFile[]) => ReleaseFile[] = (all) => all,
  ): Promise<void> {
    const { manifest } = await openRelease(folder);
    const files = change([...manifest.files]).map((file): ReleaseFile => {
      if (!('sha256' in file)) return file;
      const bytes = readFileSync(`${folder}/${file.path}`);
      return { ...file, size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
    });
    const payload = encodeRelease({ ...manifest, files });
    const envelope = await signDsse(await ours.signer('release'), {
      payloadType: releasePayloadType,
      payload,
    });
    writeFileSync(`${folder}/release.json`, envelope);
  }
  interface Forged {
    readonly folder?: string;
    readonly keys?: 'ours' | 'foreign';
    readonly role?: KeyRole;
    readonly payloadType?: string;
  }
  /** Signs a payload as provenance with any key. */
  async function forge(payload: Uint8Array, options: Forged = {}): Promise<string> {
    const { folder = copy(), keys = 'ours', role = 'release', payloadType = inTotoPayloadType } = options;
    const plan = planDsse({ payloadType, payload });
    const key = readFileSync(dir.file(`${keys}/${role}.key`));
    writeFileSync(`${folder}/provenance.json`, plan.finish(sign('sha256', plan.toSign, key)));
    await resign(folder);
    return folder;
  }
  const changed = async (change: (good: ReleaseProvenance) => ReleaseProvenance): Promise<string> =>
    forge(encodeProvenance(change(parseProvenance(payloadOf(dir.file('good'))))));

  async function failed(folder: string): Promise<readonly string[]> {
    const { checks } = await verifyImage(folder, { trust: ours });
    return checks.filter(({ ok }) => !ok).map(({ id, found }) => `${id}: ${found}`);
  }
  async function refused(folder: string, why: RegExp): Promise<void> {
    const [first = '', ...others] = await failed(folder);
    assert.deepEqual(others, []);
    assert.match(first, /^provenance: /);
    assert.match(first, why);
  }

  test('a good one holds, forged again by the right key too, and is shown', async () => {
    assert.deepEqual(await failed(await forge(payloadOf(dir.file('good')))), []);
    const { release } = await inspectImage(dir.file('good'));
    assert.deepEqual(
      [release?.provenance?.osguard, release?.provenance?.packages],
      ['0.1.0', smallLock.packages.length],
    );
  });

  test('signed by a stranger, or by a key of ours that has another role', async () => {
    const payload = payloadOf(dir.file('good'));
    await refused(await forge(payload, { keys: 'foreign' }), /no trusted key of the role release/);
    for (const role of ['boot', 'usr', 'layers'] as const) {
      await refused(await forge(payload, { role }), /no trusted key of the role release/);
    }
    const folder = copy();
    const envelope = JSON.parse(readFileSync(`${folder}/provenance.json`, 'utf8')) as { payload: string };
    const other = Buffer.from(Buffer.from(payload).toString().replace('0.1.0', '9.9.9'));
    writeFileSync(
      `${folder}/provenance.json`,
      JSON.stringify({ ...envelope, payload: other.toString('base64') }),
    );
    await resign(folder);
    await refused(folder, /no trusted key of the role release/);
  });

  test('missing, and missing from a manifest that knows of none', async () => {
    const folder = copy();
    rmSync(`${folder}/provenance.json`);
    assert.deepEqual(
      (await failed(folder)).map((line) => line.split(':')[0]),
      ['release-files', 'provenance'],
    );
    await resign(folder, (files) => files.filter(({ path }) => path !== 'provenance.json'));
    await refused(folder, /is missing/);
  });

  test('of other files: a digest changed, a subject more or less, another release', async () => {
    const digest = { sha256: 'cd'.repeat(32) };
    for (const name of ['usr.erofs', 'uki.efi', 'sbom.spdx.json', 'disk.raw', 'osguard.lock']) {
      const other = await changed((good) => ({
        ...good,
        subjects: good.subjects.map((each) => (each.name === name ? { name, digest } : each)),
      }));
      await refused(other, new RegExp(`${name.replaceAll('.', '\\.')}: `));
      await refused(await changed(without(name)), new RegExp(`names no ${name}`));
    }
    const more = await changed((good) => ({ ...good, subjects: [...good.subjects, { name: 'zz', digest }] }));
    await refused(more, /names zz, which is not in the release/);
    const second = dir.file('second');
    await writeSmallRelease(second, {
      keyring: ours,
      change: { commandLine: (line) => line.replace(' --', ' x=1 --') },
    });
    assert.deepEqual(await failed(second), []);
    await refused(await forge(payloadOf(second)), /disk\.raw|uki\.efi/);
  });

  test('of another lock, definition or day', async () => {
    const [first] = smallLock.packages;
    assert.ok(first);
    const otherLock = { ...smallLock, packages: [{ ...first, sha256: '6b'.repeat(32) }] };
    // The lock of the folder is another one, and everything but the provenance knows of it.
    const folder = copy();
    writeFileSync(`${folder}/osguard.lock`, encodeLock(otherLock));
    await resign(folder);
    await refused(folder, /osguard\.lock/);
    const dependencies = await changed((good) => ({
      ...good,
      dependencies: good.dependencies.map((each) =>
        each.name === first.name ? (lockDependencies(otherLock)[0] ?? each) : each,
      ),
    }));
    await refused(dependencies, /6b6b/);
    const less = await changed((good) => ({
      ...good,
      dependencies: good.dependencies.filter(({ name }) => name !== first.name),
    }));
    await refused(less, /one package less/);
    const more = await changed((good) => ({
      ...good,
      dependencies: [...good.dependencies, { name: 'evil', uri: 'pkg:deb/debian/evil@1' }],
    }));
    await refused(more, /evil/);
    await refused(await changed((good) => ({ ...good, time: good.time + 1 })), /dates the build/);
    for (const key of ['name', 'version', 'architecture']) {
      const other = await changed((good) => ({
        ...good,
        definition: { ...good.definition, [key]: 'other' },
      }));
      await refused(other, new RegExp(`a definition with the ${key} "other"`));
    }
  });

  test('rubbish, other statements and other forms', async () => {
    const payload = payloadOf(dir.file('good'));
    await refused(await forge(payload, { payloadType: releasePayloadType }), /payload type/);
    await refused(await forge(Buffer.from('{}')), /provenance\.json: /);
    await refused(await forge(Buffer.concat([payload, Buffer.from('\n')])), /canonical/);
    const folder = copy();
    writeFileSync(`${folder}/provenance.json`, 'rubbish');
    await resign(folder);
    await refused(folder, /DSSE envelope/);
    copyFileSync(`${folder}/release.json`, `${folder}/provenance.json`);
    await resign(folder);
    await refused(folder, /payload type/);
  });
});
