import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';

import fc from 'fast-check';
import { scratch } from '@osguard/testkit';

import {
  BodyReader,
  describeTree,
  makeNode,
  RootTree,
  treeArchive,
  treeDigest,
  TreeError,
} from '../src/tree/index.ts';
import { loadTree } from '../src/root/index.ts';

function small(): RootTree {
  const tree = new RootTree();
  tree.putFile('usr/bin/tool', 'body', {
    mode: 0o755,
    xattrs: new Map([['security.capability', Uint8Array.of(1, 2)]]),
  });
  tree.hardLink('usr/bin/other', 'usr/bin/tool');
  tree.putLink('bin', 'usr/bin');
  tree.putLink('usr/lib/loop', 'loop');
  tree.put('dev/null', makeNode({ type: 'char', mode: 0o666, device: { major: 1, minor: 3 } }));
  tree.putDirectory('etc', { mode: 0o700, uid: 70_000 });
  return tree;
}

test('paths, links and names in byte order', () => {
  const tree = small();
  assert.equal(tree.lookup('bin/tool'), tree.get('usr/bin/tool'));
  assert.equal(tree.resolve('bin/../lib/loop'), undefined);
  assert.equal(tree.resolve('bin/tool'), 'usr/bin/tool');
  for (const name of ['a', 'a.b', 'a/x', 'B', '\u{1f600}', '\uffee']) tree.putDirectory(`n/${name}`);
  assert.deepEqual(tree.names('n'), ['B', 'a', 'a.b', '\uffee', '\u{1f600}']);
  assert.deepEqual([...tree.walk('n')].map(({ path }) => path).slice(0, 4), ['n/B', 'n/a', 'n/a/x', 'n/a.b']);
});

test('what does not fit in a tree is refused', () => {
  const tree = small();
  assert.throws(() => tree.putFile('usr', 'x'), TreeError);
  assert.throws(() => tree.putFile('usr/bin/tool/x', 'x'), TreeError);
  assert.throws(() => tree.putFile('usr/../x', 'x'), TreeError);
  assert.throws(() => tree.hardLink('x', 'nowhere'), TreeError);
  assert.throws(() => tree.rename('usr', 'usr/bin/x'), TreeError);
  assert.throws(() => tree.remove(''), TreeError);
});

test('describing a directory again keeps its entries', () => {
  const tree = small();
  tree.putDirectory('usr/bin', { mode: 0o711 });
  assert.equal(tree.get('usr/bin')?.mode, 0o711);
  assert.ok(tree.has('usr/bin/tool'));
});

test('a clone changes alone and keeps hard links', () => {
  const tree = small();
  const digest = treeDigest(tree);
  const copy = tree.clone();
  assert.equal(treeDigest(copy), digest);
  assert.equal(copy.get('usr/bin/tool'), copy.get('usr/bin/other'));
  copy.rename('usr/bin', 'opt/bin');
  const tool = copy.get('opt/bin/tool');
  if (tool !== undefined) tool.mode = 0;
  assert.equal(treeDigest(tree), digest);
  assert.notEqual(treeDigest(copy), digest);
});

test('a tree survives being an archive', () => {
  using folder = scratch('tree');
  const tree = small();
  writeFileSync(folder.file('t.tar'), Buffer.concat([...treeArchive(tree)]));
  const loaded = loadTree(folder.file('t.tar'));
  assert.deepEqual([...describeTree(loaded)], [...describeTree(tree)]);
  using bodies = new BodyReader();
  const node = loaded.get('usr/bin/other');
  assert.ok(node !== undefined);
  assert.equal(bodies.text(node), 'body');
  const part = Buffer.alloc(2);
  assert.equal(bodies.readAt(node, part, 3), 1);
  assert.equal(part[0], 'y'.charCodeAt(0));
});

test('put, get and remove agree with a plain map', () => {
  const name = fc.stringMatching(/^[a-c]{1,2}$/);
  const step = fc.record({ path: fc.array(name, { minLength: 1, maxLength: 3 }), remove: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const tree = new RootTree();
      const model = new Map<string, string>();
      for (const { path: parts, remove } of steps) {
        const path = parts.join('/');
        if (remove) {
          tree.remove(path);
          for (const key of model.keys()) if (key === path || key.startsWith(`${path}/`)) model.delete(key);
        } else {
          try {
            tree.putFile(path, path);
            model.set(path, path);
          } catch (error) {
            assert.ok(error instanceof TreeError);
          }
        }
      }
      const files = [...tree.walk()].filter(({ node }) => node.type === 'file').map(({ path }) => path);
      assert.deepEqual(files.toSorted(), [...model.keys()].toSorted());
    }),
  );
});
