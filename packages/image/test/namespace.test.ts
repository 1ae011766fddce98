import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';

import { judge, noJudge, scratch } from '@osguard/testkit';

import { ImageError } from '../src/error.ts';
import { loadTree, runInNamespace } from '../src/root/index.ts';
import { describeTree, makeNode, RootTree, treeArchive } from '../src/tree/index.ts';

const skip = judge('mmdebstrap') === undefined ? noJudge('mmdebstrap') : false;
const time = 1_700_000_000;

async function* stream(chunks: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

function smallTree(): RootTree {
  const tree = new RootTree();
  tree.putFile('usr/bin/tool', 'tool', { mode: 0o755, uid: 70_00, gid: 12, mtime: time });
  tree.hardLink('usr/bin/second', 'usr/bin/tool');
  tree.putLink('bin', 'usr/bin', { mtime: time });
  tree.put('var/pipe', makeNode({ type: 'fifo', mode: 0o600, mtime: time }));
  return tree;
}

/** Folders are dated by what happens in them. */
function withoutFolders(lines: Iterable<string>): string[] {
  return [...lines].filter((line) => !line.includes('"directory"'));
}

test('a root goes in and comes out as it was, owners included', { skip, timeout: 60_000 }, async () => {
  using folder = scratch('namespace');
  const output = folder.file('out.tar');
  const tree = smallTree();
  await runInNamespace({ stages: [{ archive: stream(treeArchive(tree)), output }], time, memory: 0 });
  const got = loadTree(output);
  for (const leaf of ['proc', 'sys', 'dev', 'run', 'tmp']) got.remove(leaf);
  assert.deepEqual(withoutFolders(describeTree(got)), withoutFolders(describeTree(tree)));
});

test(
  'a later stage starts when the one before is whole, and both are handed out',
  { skip, timeout: 60_000 },
  async () => {
    using folder = scratch('namespace');
    const second = new RootTree();
    second.putFile('etc/added', 'later', { mtime: time });
    const ready = Promise.withResolvers<undefined>();
    async function* late(): AsyncGenerator<Uint8Array> {
      await ready.promise;
      yield* treeArchive(second);
    }
    const stages = [
      { archive: stream(treeArchive(smallTree())), output: folder.file('first.tar'), remove: ['var'] },
      { archive: late(), output: folder.file('second.tar'), outputs: ['etc', 'usr/bin'] },
    ];
    await runInNamespace({
      stages,
      time,
      memory: 64 * 1024 ** 2,
      onOutput: (index) => {
        if (index === 0) ready.resolve(undefined);
      },
    });
    assert.equal(loadTree(folder.file('first.tar')).has('var'), false);
    const result = loadTree(folder.file('second.tar'));
    assert.deepEqual(
      [result.has('etc/added'), result.has('usr/bin/tool'), result.has('bin')],
      [true, true, false],
    );
  },
);

// oxlint-disable-next-line require-yield -- it fails before it gives anything
async function* failing(): AsyncGenerator<Uint8Array> {
  throw new ImageError('package', 'the stream broke');
}

async function* endless(): AsyncGenerator<Uint8Array> {
  await new Promise(() => undefined);
  yield new Uint8Array();
}

test('what fails on either side ends the work and is said', { skip, timeout: 60_000 }, async () => {
  using folder = scratch('namespace');
  const broken = { stages: [{ archive: failing(), output: folder.file('x.tar') }], time, memory: 0 };
  await assert.rejects(runInNamespace(broken), /the stream broke/);
  const noShell = {
    stages: [{ archive: stream(treeArchive(smallTree())), script: 'none.sh' }],
    time,
    memory: 0,
  };
  await assert.rejects(
    runInNamespace(noShell),
    (error) => error instanceof ImageError && error.code === 'tool-failed',
  );
  const signal = AbortSignal.timeout(500);
  await assert.rejects(runInNamespace({ stages: [{ archive: endless() }], time, memory: 0, signal }));
  assert.equal(existsSync(folder.file('none')), false);
});
