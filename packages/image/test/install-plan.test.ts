import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';

import { judge, noJudge, scratch } from '@osguard/testkit';
import type { Scratch } from '@osguard/testkit';

import { ImageError } from '../src/error.ts';
import { rootContents } from '../src/root/contents.ts';
import { fileStream, parseFields, parseRelations, readControl } from '../src/root/deb.ts';
import { loadTree } from '../src/root/index.ts';
import { planInstall, triggersFor } from '../src/root/plan.ts';
import type { PlannedInstall } from '../src/root/plan.ts';
import { BodyReader } from '../src/tree/index.ts';
import type { RootTree } from '../src/tree/index.ts';

const dpkgDeb = judge('dpkg-deb');
const skip = dpkgDeb === undefined ? noJudge('dpkg-deb') : false;
const time = 1_700_000_000;

interface Fake {
  readonly fields?: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly members?: Readonly<Record<string, string>>;
}

async function pack(
  folder: Scratch,
  name: string,
  { fields = '', files = {}, members = {} }: Fake,
): Promise<PlannedInstall> {
  const source = folder.file(`${name}.d`);
  mkdirSync(`${source}/DEBIAN`, { recursive: true });
  writeFileSync(
    `${source}/DEBIAN/control`,
    `Package: ${name}\nVersion: 1\nArchitecture: amd64\nMaintainer: m\n${fields}Description: d\n`,
  );
  for (const [member, text] of Object.entries(members))
    writeFileSync(`${source}/DEBIAN/${member}`, text, { mode: 0o755 });
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(`${source}/${path.slice(0, path.lastIndexOf('/'))}`, { recursive: true });
    writeFileSync(`${source}/${path}`, text);
  }
  const deb = folder.file(`${name}.deb`);
  const built = dpkgDeb?.run(['--root-owner-group', '--build', source, deb]);
  assert.equal(built?.status, 0, built?.stderr);
  return { name, deb, control: await readControl(deb) };
}

async function contents(
  folder: Scratch,
  packages: readonly PlannedInstall[],
  present?: RootTree,
): Promise<RootTree> {
  const plan = planInstall(packages, { installed: [], scriptless: new Set(['quiet']) });
  const chunks: Uint8Array[] = [];
  const stage = present === undefined ? 'base' : 'extra';
  for await (const chunk of rootContents(plan, {
    stage,
    time,
    present: present && Promise.resolve(present),
  })) {
    chunks.push(Uint8Array.from(chunk));
  }
  writeFileSync(folder.file('out.tar'), Buffer.concat(chunks));
  return loadTree(folder.file('out.tar'));
}

function textAt(tree: RootTree, path: string): string {
  using bodies = new BodyReader();
  const node = tree.get(path);
  assert.ok(node !== undefined, path);
  return bodies.text(node);
}

function namesOf(list: readonly PlannedInstall[]): string[] {
  return list.map(({ name }) => name);
}

test('fields and relations of control files', () => {
  const fields = parseFields('Package: a\nDepends: b (>= 1) | c,\n d [amd64], e:any\nX: 1\n');
  assert.equal(fields.get('x'), '1');
  assert.deepEqual(parseRelations(fields.get('depends')), [['b', 'c'], ['d'], ['e']]);
  assert.deepEqual(parseRelations(undefined), []);
});

test('only packages with a preinst or triggers of their own go through dpkg', { skip }, async () => {
  using folder = scratch('plan');
  const packages = [
    await pack(folder, 'zlib', { members: { postinst: '#!/bin/sh\n' } }),
    await pack(folder, 'early', { members: { preinst: '#!/bin/sh\n' } }),
    await pack(folder, 'core', {
      fields: 'Essential: yes\nPre-Depends: virtual | other\n',
      members: { preinst: '#!/bin/sh\n' },
    }),
    await pack(folder, 'lib', {
      fields: 'Provides: virtual (= 1)\n',
      members: { triggers: 'activate-noawait ldconfig\n' },
    }),
    await pack(folder, 'cache', { members: { triggers: 'interest-noawait ldconfig\ninterest /lib/data\n' } }),
    await pack(folder, 'quiet', { members: { preinst: '#!/bin/sh\n' } }),
  ];
  const plan = planInstall(packages, { installed: [], scriptless: new Set(['quiet']) });
  assert.deepEqual(namesOf(plan.placed), ['lib', 'quiet', 'zlib']);
  assert.deepEqual(namesOf(plan.bootstrap), ['core']);
  assert.deepEqual(namesOf(plan.unpacked), ['cache', 'core', 'early']);
  assert.deepEqual(plan.first, [[], ['core', 'lib']]);
  assert.deepEqual(triggersFor(plan, []), ['ldconfig']);
  assert.deepEqual(triggersFor(plan, ['usr/lib/data/x', 'usr/lib/other']), ['/lib/data', 'ldconfig']);
});

test('files are placed without documentation, dates are bounded, dpkg is told', { skip }, async () => {
  using folder = scratch('plan');
  const files = {
    'usr/bin/tool': 'tool',
    'usr/share/doc/a/copyright': 'c',
    'usr/share/doc/a/README': 'r',
    'usr/share/man/man1/a.1': 'm',
  };
  const tree = await contents(folder, [
    await pack(folder, 'a', {
      fields: 'Multi-Arch: same\n',
      files,
      members: { postinst: '#!/bin/sh\n', conffiles: '' },
    }),
    await pack(folder, 'quiet', { members: { postinst: '#!/bin/sh\n' } }),
  ]);
  assert.deepEqual(
    [
      tree.has('usr/share/doc/a/copyright'),
      tree.has('usr/share/doc/a/README'),
      tree.has('usr/share/man/man1'),
    ],
    [true, false, false],
  );
  assert.equal(tree.get('usr/bin/tool')?.mtime, time);
  assert.equal(tree.get('var/lib/dpkg/info/a:amd64.postinst')?.mode, 0o755);
  assert.equal(tree.has('var/lib/dpkg/info/quiet.postinst'), false);
  assert.match(
    textAt(tree, 'var/lib/dpkg/info/a:amd64.list'),
    /^\/\.\n\/usr\n\/usr\/bin\n\/usr\/bin\/tool\n/,
  );
  assert.match(textAt(tree, 'var/tmp/osguard/placed'), /^Package: a\n[^]*?Status: install ok unpacked\n\n/);
});

test('one file in two packages is refused, also across stages', { skip }, async () => {
  using folder = scratch('plan');
  const a = await pack(folder, 'a', { files: { 'usr/bin/x': 'a' } });
  const b = await pack(folder, 'b', { files: { 'usr/bin/x': 'b' } });
  await assert.rejects(contents(folder, [a, b]), /\/usr\/bin\/x is in both a and b/);
  const base = await contents(folder, [a]);
  await assert.rejects(contents(folder, [b], base), /\/usr\/bin\/x is in both another package and b/);
});

test(
  'the kept form of a package gives the same files; a damaged one is removed and said',
  { skip },
  async () => {
    using folder = scratch('plan');
    const { deb } = await pack(folder, 'a', { files: { 'usr/bin/x': 'x'.repeat(100_000) } });
    const read = async (): Promise<Buffer> => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of fileStream(deb)) chunks.push(chunk);
      return Buffer.concat(chunks);
    };
    const first = await read();
    const kept = folder.file('a.files.tar.zst');
    assert.ok((await read()).equals(first));
    const bytes = readFileSync(kept);
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    writeFileSync(kept, bytes);
    await assert.rejects(read(), (error) => error instanceof ImageError && error.code === 'package');
    assert.ok((await read()).equals(first));
    assert.deepEqual(
      readdirSync(folder.path).filter((leaf) => leaf.endsWith('.tmp')),
      [],
    );
  },
);
