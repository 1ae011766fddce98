import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { sourceOf } from '@osguard/formats/bytes';
import { writeTar } from '@osguard/formats/tar';
import { scratch } from '@osguard/testkit';
import { main, osguard } from './osguard.ts';
import type { Ran } from './osguard.ts';

const compiled = join(tmpdir(), 'osguard-test-compiled');
const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], NODE_COMPILE_CACHE: compiled };
const node = ['--disable-warning=ExperimentalWarning', main, 'layers', 'convert'];

async function convert(...args: readonly string[]): Promise<Ran> {
  return osguard(['layers', 'convert', ...args]);
}

const xattrs = new Map([['security.selinux', Buffer.from('label')]]);
const metadata = { uid: 0, gid: 0, mode: 0o644, mtime: { seconds: 0, nanoseconds: 0 }, xattrs };
const tar = Buffer.concat([
  ...writeTar([{ ...metadata, kind: 'file', path: 'etc/motd', body: sourceOf(Buffer.from('hello\n')) }]),
]);

interface Converted {
  readonly image: string;
  readonly rootHash: string;
  readonly diffId: string;
  readonly size: number;
  readonly transport: { readonly size: number };
}

test('a layer becomes an image; its result can be verified with what the command says', async () => {
  using dir = scratch('cli');
  writeFileSync(dir.file('layer.tar.gz'), gzipSync(tar));
  const blob = dir.file('blob');
  const { status, stdout, stderr } = await convert(dir.file('layer.tar.gz'), '--transport', blob, '--json');
  assert.equal(status, 0, stderr);
  assert.match(stderr, /security\.selinux of 1 file is not kept/);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- checked below
  const said = JSON.parse(stdout) as Converted;
  assert.equal(said.image, dir.file('layer.erofs'));
  assert.match(said.rootHash, /^[0-9a-f]{64}$/);
  assert.equal(statSync(said.image).size, said.size);
  assert.equal(statSync(blob).size, said.transport.size);
  const again = await convert(dir.file('layer.tar.gz'), '-o', dir.file('same'), '--diff-id', said.diffId);
  assert.equal(again.status, 0, again.stderr);
  assert.ok(again.stdout.includes(said.rootHash));
});

test('another layer, a broken one, a wrong digest: each its exit status, and nothing left behind', async () => {
  using dir = scratch('cli');
  writeFileSync(dir.file('layer'), tar);
  writeFileSync(dir.file('broken'), tar.subarray(0, 700));
  const other = await convert(dir.file('layer'), '--diff-id', `sha256:${'0'.repeat(64)}`);
  assert.equal(other.status, 1);
  assert.match(other.stderr, /expected sha256:000/);
  assert.match((await convert(dir.file('layer'), '--diff-id', 'sha256:1')).stderr, /64 hexadecimal digits/);
  const large = await convert(dir.file('layer'), '--max-size', '512');
  assert.deepEqual([large.status, /larger than 512 bytes/.test(large.stderr)], [2, true]);
  const broken = await convert(dir.file('broken'));
  assert.deepEqual([broken.status, broken.stdout, /at byte 700/.test(broken.stderr)], [2, '', true]);
  assert.deepEqual(readdirSync(dir.path).sort(), ['broken', 'layer']);
});

test('interrupted, it leaves nothing behind', async () => {
  using dir = scratch('cli');
  // The file itself: its attributes are in two blocks before it.
  const head = Buffer.from(tar.subarray(1024, 1536));
  head.write('77777777777', 124);
  head.fill(0x20, 148, 156);
  const sum = head.reduce((total, byte) => total + byte, 0);
  head.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  // Large enough to be caught in the middle.
  const zeros = gzipSync(Buffer.alloc(2 ** 22));
  writeFileSync(
    dir.file('layer.gz'),
    Buffer.concat([gzipSync(head), ...Array.from({ length: 400 }, () => zeros)]),
  );
  const child = spawn(process.execPath, [...node, dir.file('layer.gz')], { env, stdio: 'ignore' });
  while (!readdirSync(dir.path).some((name) => name.includes('.partial-'))) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  child.kill('SIGINT');
  const [status] = (await once(child, 'exit')) as readonly unknown[];
  assert.notEqual(status, 0);
  assert.deepEqual(readdirSync(dir.path), ['layer.gz']);
});
