/** Writable folders of containers hold whatever their programs made. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, linkSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { scratch } from '@osguard/testkit';
import { folderUsage } from '../src/snapshotter/folder-usage.ts';
import { removeTree } from '../src/snapshotter/remove-tree.ts';

/** Folders within folders, until no path leads to the last. */
function makeDeep(path: string): void {
  const program = `
    mkdirSync(process.argv[1]);
    process.chdir(process.argv[1]);
    for (let n = 0; n < 60; n += 1) { mkdirSync('d'.repeat(200)); process.chdir('d'.repeat(200)); }
    writeFileSync('last', '');`;
  execFileSync(process.execPath, [
    '--eval',
    `const { mkdirSync, writeFileSync } = require('node:fs');${program}`,
    path,
  ]);
}

void test('all of a tree goes, and nothing outside of it', async () => {
  using dir = scratch('left');
  mkdirSync(dir.file('precious'));
  writeFileSync(dir.file('precious/file'), '');
  const tree = dir.file('5');
  makeDeep(tree);
  mkdirSync(`${tree}/a/b/c`, { recursive: true });
  for (let n = 0; n < 2000; n += 1) writeFileSync(`${tree}/a/${n}`, '');
  symlinkSync(dir.file('precious'), `${tree}/a/link`);
  symlinkSync('..', `${tree}/up`);
  linkSync(dir.file('precious/file'), `${tree}/hard`);
  execFileSync('mkfifo', [`${tree}/pipe`]);
  chmodSync(`${tree}/a/b`, 0);
  // What an earlier attempt left when it was killed.
  mkdirSync(`${tree}.1/x/y`, { recursive: true });
  writeFileSync(`${tree}.1/x/y/z`, '');
  await removeTree(tree);
  assert.deepEqual(readdirSync(dir.path), ['precious']);
  assert.deepEqual(readdirSync(dir.file('precious')), ['file']);
});

void test('two at once, a file and nothing', async () => {
  using dir = scratch('left');
  const tree = dir.file('5');
  mkdirSync(`${tree}/a/b/c/d`, { recursive: true });
  for (let n = 0; n < 300; n += 1) mkdirSync(`${tree}/a/${n}/x`, { recursive: true });
  await Promise.all([removeTree(tree), removeTree(tree)]);
  writeFileSync(tree, '');
  await removeTree(tree);
  await removeTree(tree);
  assert.equal(existsSync(tree), false);
});

void test('usage counts a file once, whatever its names, and does not stop where paths end', async () => {
  using dir = scratch('left');
  const tree = dir.file('5');
  makeDeep(tree);
  writeFileSync(`${tree}/one`, Buffer.alloc(40_960));
  linkSync(`${tree}/one`, `${tree}/two`);
  linkSync(`${tree}/one`, `${tree}/three`);
  const { size, inodes } = await folderUsage(tree);
  assert.ok(size >= 40_960 && size < 2 * 40_960 + 60 * 4096, String(size));
  assert.ok(inodes >= 20 && inodes <= 63, String(inodes));
  assert.deepEqual(await folderUsage(dir.file('nothing')), { size: 0, inodes: 0 });
  // The scratch folder is removed without the deep path.
  await removeTree(tree);
});
