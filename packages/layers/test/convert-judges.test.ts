/** Layers made by GNU tar, converted, and judged by the kernel, erofs-utils and cryptsetup. */

import assert from 'node:assert/strict';
import { createReadStream, mkdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { ConvertedLayer } from '@osguard/layers';
import { convertLayer } from '@osguard/layers';
import type { Judge, Scratch } from '@osguard/testkit';
import { judge, noJudge, scratch } from '@osguard/testkit';
import { folderLines } from './support/folder.ts';
import { isRoot, Mounts, noMount, notRoot } from './support/mounts.ts';

/** Everything a tree on ext4 can have, made with the tools of this machine and not with ours. */
const makeTree = String.raw`
set -eu
mkdir -p usr/bin usr/lib/deep/er etc 'odd names' dev
head -c 3000000 /dev/urandom > usr/bin/large
for size in 0 1 31 32 4031 4032 4033 4095 4096 4097 8192 12345; do head -c $size /dev/urandom > usr/lib/$size; done
ln usr/bin/large usr/lib/deep/er/linked
ln usr/lib/1 etc/one
chmod 4755 usr/bin/large; chmod 1777 etc; chmod 000 usr/lib/31
chown 70000:80000 usr/lib/32; chown -h 5:6 usr/lib
ln -s ../usr/bin/large etc/link; ln -s /nowhere "odd names/$(printf 'sp ace\ttab')"
ln -s "$(printf 'x%.0s' $(seq 1 3000))" etc/long-link; chown -h 9:9 etc/link
touch "odd names/$(printf 'n%.0s' $(seq 1 255))" "odd names/$(printf 'not-utf8-\377')" 'odd names/ümläut'
mknod dev/null c 1 3; mknod dev/disk b 259 70000; mkfifo dev/fifo; chmod 620 dev/fifo
mkdir many; cd many; for i in $(seq 1 700); do echo $i > "file-with-a-name-$i"; done; cd ..
touch -h -d @1234567890.123456789 etc/link usr/lib/4096; touch -d @0 usr/lib/0; touch -d 1901-12-31T00:00:00.5Z etc/one
setfattr -n user.comment -v hello usr/lib/8192; setfattr -n user.comment -v hello etc
setcap cap_net_raw+ep usr/lib/12345
setfattr -n security.other -v x usr/lib/0 || true; setfattr -n trusted.overlay.opaque -v y etc || true
touch -d @1500000000 usr/lib etc .
`;

const formats = [
  { name: 'pax', args: ['--format=pax', '--xattrs', '--xattrs-include=*'], exact: true },
  { name: 'gnu', args: ['--format=gnu'], exact: false },
];

function run(tool: Judge, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr } = tool.run(args, { cwd });
  assert.equal(status, 0, `${tool.name} ${args.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

async function made(dir: Scratch, tar: Judge, args: readonly string[]): Promise<ConvertedLayer> {
  const shell = judge('bash');
  assert.ok(shell);
  mkdirSync(dir.file('tree'));
  run(shell, ['-c', makeTree], dir.file('tree'));
  run(tar, [...args, '--sort=name', '-cf', dir.file('layer.tar'), '-C', dir.file('tree'), '.'], dir.path);
  return convertLayer(createReadStream(dir.file('layer.tar')), { output: dir.file('layer.erofs') });
}

const tar = judge('tar');
const reason = tar === undefined ? noJudge('tar') : !isRoot && notRoot;

describe('layers, judged by the kernel', { skip: reason }, () => {
  for (const { name, args, exact } of formats) {
    it(`has every file as \`tar -x\` makes it (${name})`, async (t) => {
      if (tar === undefined) return;
      using dir = scratch('layer');
      const { dropped } = await made(dir, tar, args);
      using mounts = new Mounts(dir);
      const found = mounts.erofs(dir.file('layer.erofs'));
      if (found === undefined) {
        t.skip(noMount);
        return;
      }
      mkdirSync(dir.file('extracted'));
      run(tar, ['--xattrs', '--xattrs-include=*', '-xpf', dir.file('layer.tar')], dir.file('extracted'));
      // What the format leaves out.
      const shell = judge('bash');
      if (exact && shell !== undefined) {
        const names = dropped.map((xattr) => xattr.name);
        assert.ok(names.includes('security.other') && names.includes('trusted.overlay.opaque'), names.join());
        run(
          shell,
          ['-c', 'setfattr -x security.other usr/lib/0; setfattr -x trusted.overlay.opaque etc'],
          dir.file('extracted'),
        );
      }
      const expected = folderLines(dir.file('extracted'));
      assert.ok(Object.keys(expected).length > 700);
      assert.deepEqual(folderLines(found), expected);
    });
  }
});

describe('layers, judged by erofs-utils and cryptsetup', { skip: reason }, () => {
  const fsck = judge('fsck.erofs');
  const veritysetup = judge('veritysetup');

  it('fsck.erofs finds nothing', { skip: fsck ? false : noJudge('fsck.erofs') }, async () => {
    if (fsck === undefined || tar === undefined) return;
    using dir = scratch('layer');
    await made(dir, tar, ['--format=pax']);
    assert.doesNotMatch(run(fsck, [dir.file('layer.erofs')], dir.path), /<E>|corrupt|invalid/i);
  });

  it('veritysetup makes the same tree', { skip: veritysetup ? false : noJudge('veritysetup') }, async () => {
    if (veritysetup === undefined || tar === undefined) return;
    using dir = scratch('layer');
    const { rootHash, hashOffset, size } = await made(dir, tar, ['--format=pax']);
    const image = dir.file('layer.erofs');
    const offset = `--hash-offset=${hashOffset}`;
    run(veritysetup, ['verify', image, image, rootHash, offset], dir.path);
    const said = run(
      veritysetup,
      [
        'format',
        image,
        dir.file('tree.verity'),
        `--data-blocks=${hashOffset / 4096}`,
        `--salt=${'00'.repeat(32)}`,
      ],
      dir.path,
    );
    assert.match(said, new RegExp(`Root hash:\\s+${rootHash}`));
    assert.ok(size > hashOffset);
  });
});
