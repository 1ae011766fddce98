/** What the attacks on containers are made of, without a machine. */

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';

import { parseDigest } from '@osguard/formats/oci';
import { initKeys, loadKeyring } from '@osguard/keys';
import { fetchVerityImage, findVerityImages, openImage, openLayout, verifyImage } from '@osguard/layers';
import { scratch } from '@osguard/testkit';

import { ContainerHost, lastLine } from '../src/containers/container-host.ts';
import { containerRows } from '../src/containers/container-rows.ts';
import type { ContainerFiles } from '../src/containers/container-volume.ts';
import { demoChapters } from '../src/containers/demo-chapters.ts';
import {
  changedGreeting,
  greeting,
  greetingProgram,
  waitingProgram,
} from '../src/containers/greeting-program.ts';
import type { TestImage, TestImageName, TestImages } from '../src/containers/test-images.ts';
import { archiveName, makeTestImages } from '../src/containers/test-images.ts';
import type { AskOptions } from '../src/prove/intruder.ts';
import type { Observation, Row } from '../src/prove/row.ts';
import { existingTree } from '../src/tools/open.ts';

/** Plays the host: what each request is answered with. */
function fakeIntruder(answer: (attack: string, argv: readonly string[]) => Partial<Observation> | string): {
  readonly asked: string[];
  readonly ask: (attack: string, options?: AskOptions) => Promise<Observation>;
} {
  const asked: string[] = [];
  return {
    asked,
    async ask(attack, { args = {} } = {}) {
      const argv = Array.isArray(args['argv']) ? args['argv'].map(String) : [];
      asked.push([attack, ...argv].join(' '));
      const answered = answer(attack, argv);
      const seen =
        typeof answered === 'string' ? { attempts: [{ succeeded: true, detail: answered }] } : answered;
      return Promise.resolve({ attempts: [], control: null, kernel: [], seconds: 1, ...seen });
    },
  };
}

const refusal = (detail: string, kernel: readonly string[] = []): Partial<Observation> => ({
  attempts: [{ succeeded: false, detail }],
  kernel,
});
const names: readonly TestImageName[] = [
  'signed',
  'unsigned',
  'foreign',
  'swapped',
  'other-role',
  'tampered',
  'tampered-anew',
  'stored',
  'revoked',
  'inside',
];
const nowhere = parseDigest(`sha256:${'0'.repeat(64)}`);
const image = (name: string): TestImage => ({
  reference: `proof.osguard.test/${name}:1`,
  digest: nowhere,
  layer: nowhere,
});
const files: ContainerFiles = {
  path: '',
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  images: Object.fromEntries(names.map((name) => [name, image(name)])) as unknown as TestImages,
  revocations: { none: new Uint8Array(1), newer: new Uint8Array(2) },
};

async function rowsOf(
  ids: readonly string[],
  answer: Parameters<typeof fakeIntruder>[0],
): Promise<readonly Row[]> {
  const rows: Row[] = [];
  const wanted = ids.map((id) => ({ id, protection: id }));
  await containerRows({
    intruder: fakeIntruder(answer),
    files,
    rows: wanted,
    onRow: (row) => rows.push(row),
  });
  return rows;
}

const isOf = (argv: readonly string[], name: string): boolean => argv.includes(image(name).reference);

const seen = (succeeded: boolean): object => ({
  attempts: [{ succeeded, detail: 'tried' }],
  control: { succeeded: true, detail: 'ran' },
});

describe('rows about containers', () => {
  it('are blocked when the host refuses, with what it said', async () => {
    const [row] = await rowsOf(['layer-unsigned'], (_attack, argv) =>
      isOf(argv, 'unsigned') ? refusal('x\nctr: osguard: layer is not signed\n (status 1)') : greeting,
    );
    assert.equal(row?.result, 'blocked');
    assert.equal(row.control, 'ran');
    assert.match(row.evidence, /layer is not signed/);
  });

  it('are not blocked when the program could speak, changed or not', async () => {
    const said = await rowsOf(['layer-foreign', 'layer-tampered-blob'], (_attack, argv) =>
      isOf(argv, 'tampered-anew') ? changedGreeting : greeting,
    );
    assert.deepEqual(
      said.map(({ result }) => result),
      ['not-blocked', 'not-blocked'],
    );
  });

  it('show nothing when the right image does not run either, or none could be brought', async () => {
    const [broken] = await rowsOf(['layer-unsigned'], (attack) =>
      attack === 'run-program' ? refusal('ctr: no such thing') : 'mounted',
    );
    assert.equal(broken?.result, 'untestable');
    const refused = await rowsOf(['layer-foreign', 'container-memfd'], () => refusal('no disk'));
    assert.deepEqual(
      refused.map(({ result, evidence }) => [result, /no disk/.test(evidence)]),
      [
        ['untestable', true],
        ['untestable', true],
      ],
    );
  });

  it('show nothing when the host failed for another reason', async () => {
    const [row] = await rowsOf(['layer-unsigned'], (_attack, argv) =>
      isOf(argv, 'unsigned') ? refusal('ctr: connection error') : greeting,
    );
    assert.equal(row?.result, 'untestable');
    assert.match(row.evidence, /not by osguard: connection error/);
  });

  it('from inside come out of one container, each with its own lines of the kernel', async () => {
    const told = {
      'container-memfd': seen(false),
      'container-preload': seen(true),
      'container-mount-exec': seen(false),
    };
    const kernel = ['ipe_op=EXECUTE path="/mnt/host/answer-1"', 'ipe_op=EXECUTE path=2F6D656D66643A61'];
    const intruder = fakeIntruder((_attack, argv) =>
      isOf(argv, 'inside')
        ? { attempts: [{ succeeded: true, detail: `ctr: INSIDE ${JSON.stringify(told)}\n` }], kernel }
        : greeting,
    );
    const rows: Row[] = [];
    const ids = ['container-drop-exec', ...Object.keys(told)];
    await containerRows({
      intruder,
      files,
      rows: ids.map((id) => ({ id, protection: id })),
      onRow: (row) => rows.push(row),
    });
    assert.deepEqual(
      rows.map(({ result }) => result),
      ['untestable', 'blocked', 'not-blocked', 'blocked'],
    );
    assert.match(rows[1]?.evidence ?? '', /path=2F6D/);
    assert.match(rows[3]?.evidence ?? '', /mnt\/host/);
    assert.equal(intruder.asked.filter((line) => line.includes('inside.py')).length, 1);
  });
});

describe('what ctr says', () => {
  it('is its last line, without status and name', () => {
    assert.equal(lastLine('a\rctr: ctr: no: why\n\n (status 1)'), 'no: why');
    assert.equal(lastLine('layer-sha256: done\nhello\n'), 'hello');
    assert.equal(lastLine(''), '');
  });
});

describe('the demonstration', () => {
  const images = {
    app: { reference: 'r/app:1', rootHash: 'ab', changeable: 7 },
    twin: { reference: 'r/twin:1', rootHash: '', changeable: 0 },
  };
  const chaptersOf = async (
    answer: Parameters<typeof fakeIntruder>[0],
  ): Promise<readonly (readonly [string, boolean])[]> => {
    const chapters: (readonly [string, boolean])[] = [];
    for await (const { id, ok } of demoChapters(new ContainerHost(fakeIntruder(answer)), images))
      chapters.push([id, ok]);
    return chapters;
  };

  it('goes well where the host refuses', async () => {
    let changed = false;
    const chapters = await chaptersOf((attack, argv) => {
      changed ||= attack === 'change-byte';
      if (argv.includes('r/twin:1')) return refusal('ctr: layer is not signed');
      if (argv.includes('/tmp/dropped')) return refusal('EACCES', ['ipe_op=EXECUTE']);
      if (changed && argv.includes('/greet')) return refusal('EIO', ['device-mapper: verity: corrupted']);
      return greeting;
    });
    assert.deepEqual(chapters, [
      ['signed-runs', true],
      ['unsigned-refused', true],
      ['dropped-refused', true],
      ['changed-refused', true],
    ]);
  });

  it('goes wrong where the host lets everything run', async () => {
    const chapters = await chaptersOf(() => greeting);
    assert.deepEqual(
      chapters.map(([, ok]) => ok),
      [true, false, false, false],
    );
  });
});

describe('the programs in the images', () => {
  const folder = scratch('greeting');
  after(() => folder[Symbol.dispose]());
  const program = (name: string, bytes: Uint8Array): string => {
    const path = folder.file(name);
    writeFileSync(path, bytes, { mode: 0o755 });
    return path;
  };

  it('say their line, and another one with one bit changed', () => {
    const bytes = greetingProgram();
    assert.equal(execFileSync(program('greet', bytes), { encoding: 'utf8' }), greeting);
    const at = Buffer.from(bytes).indexOf(greeting) + greeting.length - 2;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    assert.equal(execFileSync(program('changed', bytes), { encoding: 'utf8' }), changedGreeting);
  });

  it('wait until they are told to end', async () => {
    const child = spawn(program('wait', waitingProgram()));
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.equal(child.exitCode, null);
    const ended = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
    child.kill('SIGTERM');
    assert.equal(await ended, 0, 'handled, as a first process has to');
  });
});

describe('the images', () => {
  it('have the one thing wrong that they are named for', { timeout: 120_000 }, async (t) => {
    const tree = existingTree('intruder');
    if (tree === undefined) {
      t.skip('the tool set `intruder` was not made yet (osguard prove makes it)');
      return;
    }
    using folder = scratch('test-images');
    const rsaBits = { usr: 2048, layers: 2048 } as const;
    for (const name of ['keys', 'foreign']) await initKeys(folder.file(name), { name, rsaBits });
    const keyring = await loadKeyring(folder.file('keys'));
    const foreign = await loadKeyring(folder.file('foreign'));
    const images = await makeTestImages({
      layers: await keyring.signer('layers'),
      usr: await keyring.signer('usr'),
      foreign: await foreign.signer('layers'),
      tree: join(tree.path, 'root'),
      folder: folder.file('layout'),
      workFolder: folder.file('work'),
    });
    const verdict = async (name: TestImageName): Promise<string> => {
      const opened = await openImage(`oci:${folder.file('layout')}:${name}`);
      const report = await verifyImage(opened, {
        trust: keyring,
        at: Date.now(),
        workFolder: folder.file('work'),
      });
      await opened.store.close();
      return report.reasons[0] ?? 'good';
    };
    const good = ['signed', 'stored', 'revoked', 'inside'] as const;
    for (const name of good) assert.equal(await verdict(name), 'good', name);
    assert.equal(await verdict('unsigned'), 'signature-missing');
    assert.equal(await verdict('foreign'), 'certificate-unknown');
    assert.equal(await verdict('swapped'), 'signature-invalid');
    assert.equal(await verdict('other-role'), 'certificate-wrong-role');
    const store = openLayout(folder.file('layout'));
    for (const name of ['tampered', 'tampered-anew'] as const) {
      const [published] = await findVerityImages(store, images[name].layer);
      assert.ok(published, name);
      const fetched = fetchVerityImage(store, published, { output: folder.file('fetched') });
      await assert.rejects(fetched, { code: 'digest' }, name);
    }

    const archive = await openImage(`oci-archive:${folder.file('layout')}/${archiveName}`);
    const tags = await archive.store.tags();
    assert.deepEqual(
      tags.toSorted(),
      Object.values(images)
        .map(({ reference }) => reference)
        .toSorted(),
    );
  });
});
