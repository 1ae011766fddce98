import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { checkRooms } from './check-rooms.ts';

const manifest = (exports: Record<string, string>, dependencies: readonly string[]): string =>
  JSON.stringify({ exports, dependencies: Object.fromEntries(dependencies.map((name) => [name, '1'])) });

/** A house in which every rule is kept. */
const sound: Readonly<Record<string, string>> = {
  'package.json': JSON.stringify({ devDependencies: { 'fast-check': '1' } }),
  'packages/events/package.json': manifest({ '.': './src/index.ts' }, []),
  'packages/events/src/index.ts': '',
  'packages/formats/package.json': manifest({ './*': './src/*/index.ts' }, ['@osguard/events', 'zod']),
  'packages/formats/src/gpt/index.ts':
    "import { crc32 } from 'node:zlib';\nimport { z } from 'zod/v4';\nimport '@osguard/events';\n",
  'packages/formats/test/gpt.test.ts':
    "import { test } from 'node:test';\nimport fc from 'fast-check';\nimport { readGpt } from '@osguard/formats/gpt';\n" +
    "import { judge } from '@osguard/testkit';\nimport { help } from '../src/gpt/index.ts';\nconsole.log(Date.now());\n",
  'packages/keys/package.json': manifest({ '.': './src/index.ts' }, ['@osguard/formats']),
  'packages/keys/src/index.ts':
    "import type {\n  Gpt,\n} from '@osguard/formats/gpt';\n// import x from '@osguard/cli';\n" +
    '/* console.log() */\nexport const at = (machine) => machine.console.lines;\n',
  'packages/cli/package.json': manifest({ '.': './src/main.ts' }, ['@osguard/keys']),
  'packages/cli/src/main.ts': "const keys = await import('@osguard/keys');\nprocess.stdout.write('hello');\n",
  'packages/testkit/package.json': manifest({ '.': './src/index.ts' }, ['@osguard/formats']),
  'packages/testkit/src/index.ts': "export { readGpt } from '@osguard/formats/gpt';\n",
};

function check(changes: Readonly<Record<string, string>>): readonly string[] {
  const root = mkdtempSync(join(tmpdir(), 'osguard-rooms-'));
  try {
    for (const [path, text] of Object.entries({ ...sound, ...changes })) {
      mkdirSync(join(root, dirname(path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    return checkRooms(root);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

void test('a house in order has no breaches', () => {
  assert.deepEqual(check({}), []);
});

const gpt = 'packages/formats/src/gpt/index.ts';
const keys = 'packages/keys/src/index.ts';
const breaches: readonly (readonly [string, string, string, RegExp])[] = [
  [
    'a room below',
    keys,
    "import { main } from '@osguard/cli';",
    /:1: @osguard\/cli: keys may import only events, formats/,
  ],
  [
    'a room below, when needed',
    keys,
    "\nconst cli = await import('@osguard/cli');",
    /:2: @osguard\/cli: keys may/,
  ],
  ['a type of a room below', keys, "type A = import('@osguard/cli').A;", /keys may import only/],
  ['what is exported on', keys, "export * from '@osguard/cli';", /keys may import only/],
  ['the testkit', keys, "import { judge } from '@osguard/testkit';", /only tests import the testkit/],
  [
    'another room by path',
    keys,
    "import { readGpt } from '../../formats/src/gpt/index.ts';",
    /leaves the room/,
  ],
  [
    'another room by URL',
    keys,
    "new Worker(new URL('../../cli/src/main.ts', import.meta.url));",
    /leaves the room/,
  ],
  ['its own tests', keys, "import { help } from '../test/help.ts';", /sources do not import tests/],
  ['past the exports', keys, "import { x } from '@osguard/formats/gpt/read';", /not exported/],
  ['what is not there', keys, "import { x } from '@osguard/formats/fat';", /not exported/],
  [
    'a room it does not name',
    keys,
    "import '@osguard/events';",
    /not among the dependencies of packages\/keys/,
  ],
  [
    'a library it does not name',
    keys,
    "import { z } from 'zod';",
    /not among the dependencies of packages\/keys/,
  ],
  ['a built-in without node:', keys, "import { join } from 'path';", /write node: before/],
  ['a file system in formats', gpt, "import { readFileSync } from 'node:fs';", /formats is pure/],
  ['a promise of one', gpt, "import { readFile } from 'node:fs/promises';", /formats is pure/],
  ['the network', gpt, "import { connect } from 'node:net';", /formats is pure/],
  ['the machine', gpt, "import { cpus } from 'node:os';", /formats is pure/],
  ['a clock', gpt, 'const now = new Date();', /:1: new Date\(\): formats is pure/],
  ['chance', gpt, 'const id = randomUUID();', /formats is pure/],
  ['the environment', gpt, "const home = process.env['HOME'];", /formats is pure/],
  ['a print', keys, "\n\nconsole.log('secret');", /:3: console\.log: only cli prints/],
  ['a write to standard output', keys, "process.stdout.write('x');", /only cli prints/],
];

for (const [what, path, text, message] of breaches) {
  void test(`${what} is a breach`, () => {
    const found = check({ [path]: text });
    assert.equal(found.length, 1, found.join('\n'));
    assert.ok(found[0]?.startsWith(path));
    assert.match(found[0] ?? '', message);
  });
}

void test('tests obey the order too, and new rooms must be listed', () => {
  const path = 'packages/formats/test/gpt.test.ts';
  assert.match(
    check({ [path]: "import { x } from '@osguard/keys';" }).join(),
    /formats may import only events/,
  );
  assert.match(check({ [path]: "import { x } from '../../keys/src/index.ts';" }).join(), /leaves the room/);
  assert.match(check({ 'packages/attic/package.json': '{}' }).join(), /attic: not in the list of rooms/);
});
