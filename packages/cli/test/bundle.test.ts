import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { scratch } from '@osguard/testkit';
import { bundleRecord, isFresh, readBundle } from '../src/bundle.ts';

const start = (file: string): string =>
  execFileSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, '../src', file), '--version'],
    {
      encoding: 'utf8',
    },
  );

test('a bundle is fresh only while its sources and Node are those it was made of', () => {
  using dir = scratch('bundle');
  const path = 'source.ts';
  writeFileSync(dir.file(path), 'export {};\n');
  const { mtimeMs, size } = statSync(dir.file(path));
  const bundle = { node: process.version, folder: 'x', inputs: [{ path, mtimeMs, size }] };
  assert.equal(isFresh(dir.path, bundle), true);
  assert.equal(isFresh(dir.path, { ...bundle, node: 'v1.0.0' }), false);
  assert.equal(isFresh(dir.path, { ...bundle, inputs: [{ path: 'gone.ts', mtimeMs, size }] }), false);
  // A second earlier, as a checkout of another commit may leave it.
  utimesSync(dir.file(path), mtimeMs / 1000 - 1, mtimeMs / 1000 - 1);
  assert.equal(isFresh(dir.path, bundle), false);
  utimesSync(dir.file(path), mtimeMs / 1000, mtimeMs / 1000);
  writeFileSync(dir.file(path), 'export { };\n');
  assert.equal(isFresh(dir.path, bundle), false);
});

test('a record that is missing or broken is no bundle', () => {
  using dir = scratch('bundle');
  assert.equal(readBundle(dir.path), undefined);
  mkdirSync(join(dir.path, bundleRecord, '..'), { recursive: true });
  writeFileSync(join(dir.path, bundleRecord), '{"node":');
  assert.equal(readBundle(dir.path), undefined);
});

test('the command starts, bundled or not', () => {
  assert.equal(start('launch.ts'), start('main.ts'));
});
