import assert from 'node:assert/strict';
import { test } from 'node:test';

import { prepareHost } from '../src/host/index.ts';
import { RootTree } from '../src/tree/index.ts';

const folder = 'usr/lib/x86_64-linux-gnu';

/** A program or library that needs others: one loaded segment, and DT_STRTAB, DT_STRSZ and DT_NEEDED in it. */
function elf(...needed: readonly string[]): Uint8Array {
  const strings = Buffer.from(['', ...needed, ''].join('\0'), 'latin1');
  const tags: (readonly [number, number])[] = [
    [5, 176],
    [10, strings.length],
  ];
  for (let index = 0, at = 1; index < needed.length; at += (needed[index]?.length ?? 0) + 1, index += 1)
    tags.push([1, at]);
  const dynamic = 176 + strings.length;
  const bytes = Buffer.alloc(dynamic + (tags.length + 1) * 16);
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]).copy(bytes);
  bytes.writeUInt32LE(64, 32);
  bytes.writeUInt16LE(56, 54);
  bytes.writeUInt16LE(2, 56);
  for (const [index, [type, offset, size]] of [
    [1, 0, bytes.length] as const,
    [2, dynamic, (tags.length + 1) * 16] as const,
  ].entries()) {
    const at = 64 + index * 56;
    bytes.writeUInt32LE(type, at);
    for (const place of [8, 16]) bytes.writeUInt32LE(offset, at + place);
    bytes.writeUInt32LE(size, at + 32);
  }
  strings.copy(bytes, 176);
  for (const [index, [tag, value]] of tags.entries()) {
    bytes.writeUInt32LE(tag, dynamic + index * 16);
    bytes.writeUInt32LE(value, dynamic + index * 16 + 8);
  }
  return bytes;
}

interface Asked {
  readonly packages?: readonly string[];
  readonly load?: readonly string[];
  readonly profile?: 'hardened' | 'general';
}

function prepared(
  fill: (tree: RootTree) => void,
  { packages = [], load = [], profile = 'hardened' }: Asked = {},
): { readonly tree: RootTree; readonly removed: ReturnType<typeof prepareHost> } {
  const tree = new RootTree();
  fill(tree);
  const removed = prepareHost(tree, {
    definition: {
      profile,
      packages,
      units: { enable: [], disable: [], mask: [] },
      modules: { load, deny: [] },
    },
    records: {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- of a package only name and files are looked at
      packages: [
        { name: 'sqlite3', files: [`${folder}/libsqlite3.so.0`, `${folder}/libsqlite3.so.0.8.6`] },
      ] as never,
      owners: new Map(),
    },
    time: 1_700_000_000,
  });
  return { tree, removed };
}

function libraries(tree: RootTree): void {
  tree.putLink(`${folder}/libsqlite3.so.0`, 'libsqlite3.so.0.8.6');
  tree.putFile(`${folder}/libsqlite3.so.0.8.6`, elf('libgmp.so.10'));
  tree.putFile(`${folder}/libgmp.so.10`, elf('libc.so.6'));
  tree.putFile(`${folder}/libc.so.6`, elf());
}

test('libraries nobody needs go, and come back with a program that needs them', () => {
  const alone = prepared(libraries);
  assert.deepEqual(alone.tree.names(folder), ['libc.so.6']);
  assert.deepEqual(
    alone.removed.map(({ rule, paths }) => [rule, paths.length]),
    [['library', 3]],
  );
  const used = prepared((tree) => {
    libraries(tree);
    tree.putFile('usr/bin/program', elf('libsqlite3.so.0'));
  });
  assert.equal(used.tree.names(folder).length, 4);
  const asked = prepared(libraries, { packages: ['sqlite3'] });
  assert.equal(asked.tree.names(folder).length, 4, 'what a named package brought stays, with what it needs');
});

const index = `kernel/drivers/target/target_core_mod.ko.xz:
kernel/drivers/vhost/vhost.ko.xz:
kernel/drivers/vhost/vhost-net.ko.xz: kernel/drivers/vhost/vhost.ko.xz kernel/drivers/net/tap.ko.xz
kernel/drivers/net/tap.ko.xz:
kernel/fs/nls/nls_cp437.ko.xz:
kernel/fs/nls/nls_cp936.ko.xz:
kernel/net/vmw_vsock/loopback.ko.xz: kernel/fs/nls/nls_cp936.ko.xz
`;

function kernel(tree: RootTree): void {
  tree.putFile('usr/lib/modules/7.3/modules.dep', index);
  for (const [, path = ''] of index.matchAll(/^(\S+):/gm)) tree.putFile(`usr/lib/modules/7.3/${path}`, path);
}

const left = (tree: RootTree): readonly string[] =>
  [...tree.walk('usr/lib/modules')].flatMap(({ path, node }) =>
    node.type === 'file' ? [path.slice(path.lastIndexOf('/') + 1)] : [],
  );

test('modules this host cannot use go, but for those another one or the definition needs', () => {
  const { tree, removed } = prepared(kernel);
  assert.deepEqual(left(tree).toSorted(), [
    'loopback.ko.xz',
    'nls_cp437.ko.xz',
    'nls_cp936.ko.xz',
    'tap.ko.xz',
  ]);
  assert.equal(tree.has('usr/lib/modules/7.3/kernel/drivers/vhost'), false, 'no empty folder stays');
  assert.ok(removed.every(({ why, bytes }) => why.length > 10 && bytes > 0));
  const loading = prepared(kernel, { load: ['vhost_net'] });
  assert.ok(left(loading.tree).includes('vhost-net.ko.xz'));
  assert.ok(left(loading.tree).includes('vhost.ko.xz'));
});

function tools(tree: RootTree): void {
  for (const name of ['containerd-shim', 'containerd-shim-runc-v1', 'containerd-shim-runc-v2', 'ip', 'ss'])
    tree.putFile(`usr/bin/${name}`, name);
  tree.putFile('usr/sbin/tc', 'tc');
}

test('the older shims and tools of iproute2 go, ip stays; the general profile loses nothing', () => {
  const { tree } = prepared(tools);
  assert.deepEqual(tree.names('usr/bin').toSorted(), ['containerd-shim-runc-v2', 'ip']);
  assert.equal(tree.has('usr/sbin/tc'), false);
  assert.equal(prepared(tools, { profile: 'general' }).tree.names('usr/bin').length, 5);
});
