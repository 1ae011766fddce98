import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { FormatError } from '@osguard/formats/bytes';
import { judge, noJudge, scratch } from '@osguard/testkit';

import { readElfDynamic } from '../src/initrd/elf.ts';
import { guardProgram, libraryClosure, moduleClosure } from '../src/initrd/index.ts';
import type { SourceTree } from '../src/initrd/source.ts';
import { resolveNode } from '../src/initrd/source.ts';
import { BodyReader, RootTree } from '../src/tree/index.ts';
import { sourceTreeOf } from '../src/tree/source-tree.ts';

const source = join(import.meta.dirname, '../src/initrd/guard.s');

test('guard.s assembles to the committed program', (t) => {
  const as = judge('as');
  const ld = judge('ld');
  if (as === undefined || ld === undefined) return t.skip(noJudge('as and ld'));
  using folder = scratch('guard');
  const object = join(folder.path, 'guard.o');
  const program = join(folder.path, 'guard');
  assert.equal(as.run(['-o', object, source]).status, 0);
  const linked = ld.run([
    '-s',
    '-static',
    '-z',
    'noseparate-code',
    '-z',
    'max-page-size=4096',
    '-o',
    program,
    object,
  ]);
  assert.equal(linked.status, 0, linked.stderr);
  // Linkers of different ages lay section headers out differently: what the kernel loads is what must be equal.
  assert.deepEqual(loaded(readFileSync(program)), loaded(guardProgram));
});

/** Entry point, and the bytes of every PT_LOAD without the ELF header that may lie in the first. */
function loaded(bytes: Uint8Array): unknown {
  const view = Buffer.from(bytes);
  const segments = Array.from({ length: view.readUInt16LE(56) }, (_, index) => {
    const at = Number(view.readBigUInt64LE(32)) + index * 56;
    const offset = Number(view.readBigUInt64LE(at + 8));
    const size = Number(view.readBigUInt64LE(at + 32));
    return { type: view.readUInt32LE(at), flags: view.readUInt32LE(at + 4), offset, size };
  });
  const code = segments.find(({ type, flags }) => type === 1 && (flags & 1) === 1);
  assert.ok(code);
  const entry = Number(view.readBigUInt64LE(24)) - 0x40_0000;
  return {
    entry,
    flags: segments.filter(({ type }) => type === 1).map(({ flags }) => flags),
    code: view.subarray(entry, code.offset + code.size).toString('hex'),
  };
}

test('the guard is static, small and has no segment that is writable and executable', () => {
  const dynamic = readElfDynamic(guardProgram);
  assert.deepEqual(dynamic, { needed: [], runpath: [], interpreter: undefined });
  assert.ok(guardProgram.length < 4096);
  const { flags } = loaded(guardProgram) as { flags: number[] };
  assert.ok(flags.every((flag) => (flag & 3) !== 3));
});

test('ELF: what is not one, is cut or points outside is refused with its offset', () => {
  assert.throws(() => readElfDynamic(new Uint8Array(64)), FormatError);
  const program = Buffer.from(guardProgram);
  for (let length = 0; length < 160; length += 1) {
    assert.throws(() => readElfDynamic(program.subarray(0, length)), FormatError, String(length));
  }
  const wrong = Buffer.from(program);
  wrong[4] = 1;
  assert.throws(() => readElfDynamic(wrong), /64-bit little-endian/);
});

/** Text is body; `-> target` a link. */
function treeOf(files: Readonly<Record<string, string | Uint8Array>>): SourceTree {
  const tree = new RootTree();
  for (const [path, content] of Object.entries(files)) {
    const isLink = typeof content === 'string' && content.startsWith('-> ');
    if (isLink) tree.putLink(path, content.slice(3));
    else tree.putFile(path, content);
  }
  return sourceTreeOf(tree, new BodyReader());
}

test('links are followed in every component, and loops end', () => {
  const tree = treeOf({
    lib: '-> usr/lib',
    'usr/lib/a.so': '-> ../share/b.so',
    'usr/share/b.so': 'bytes',
    'usr/x': '-> y',
    'usr/y': '-> x',
  });
  assert.equal(resolveNode(tree, 'lib/a.so')?.path, 'usr/share/b.so');
  assert.equal(resolveNode(tree, 'usr/x'), undefined);
});

test('modules bring what they depend on; a missing one is an error unless it is built in', () => {
  const folder = 'usr/lib/modules/1.2';
  const tree = treeOf({
    [`${folder}/modules.dep`]:
      'kernel/a-one.ko.xz: kernel/b.ko.xz kernel/c.ko\nkernel/b.ko.xz:\nkernel/c.ko:\nkernel/d.ko:\n',
    [`${folder}/modules.builtin`]: 'kernel/fs/ext4/ext4.ko\n',
  });
  assert.deepEqual(moduleClosure(tree, { release: '1.2', required: ['a_one', 'ext4'], optional: ['nvme'] }), [
    'kernel/a-one.ko.xz',
    'kernel/b.ko.xz',
    'kernel/c.ko',
  ]);
  assert.throws(
    () => moduleClosure(tree, { release: '1.2', required: ['erofs'], optional: [] }),
    /no module erofs/,
  );
  assert.throws(
    () => moduleClosure(tree, { release: '9', required: [], optional: [] }),
    /modules\.dep is missing/,
  );
});

test('a library nobody installs is named with who wants it', () => {
  const tree = treeOf({ 'usr/bin/tool': guardProgram });
  assert.deepEqual(libraryClosure(tree, { programs: ['usr/bin/tool'], opened: [] }), []);
  assert.throws(
    () => libraryClosure(tree, { programs: ['usr/bin/tool'], opened: ['libkmod.so.2'] }),
    /libkmod\.so\.2, which no package of this image installs/,
  );
});
