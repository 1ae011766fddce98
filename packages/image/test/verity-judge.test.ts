import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fromHex, toHex } from '@osguard/formats/bytes';
import { parseRootHash } from '@osguard/formats/verity';
import type { Judge, VectorRow } from '@osguard/testkit';
import { judge, noJudge, noVectors, scratch, vectors } from '@osguard/testkit';
import type { FormatVerityOptions } from '../src/verity/index.ts';
import { formatVerity, verifyVerity } from '../src/verity/index.ts';

const uuid = 'a60c98d2-ae9b-4865-bfcb-b4e3ace11033';
const tool = judge('veritysetup');
const withTool = { skip: tool === undefined ? noJudge('veritysetup') : false };

function runs(args: readonly string[]): ReturnType<Judge['run']> {
  if (tool === undefined) throw new Error(noJudge('veritysetup'));
  return tool.run(args);
}

describe('veritysetup and osguard agree', withTool, () => {
  it('it verifies what we format, and finds what we break', async () => {
    using dir = scratch('verity');
    const data = randomBytes(1000 * 4096);
    const places = { data: { path: dir.file('data') }, tree: { path: dir.file('tree') } };
    writeFileSync(dir.file('data'), data);
    const { rootHash } = await formatVerity({ ...places, salt: randomBytes(32), uuid });
    const args = ['verify', dir.file('data'), dir.file('tree'), rootHash];
    assert.equal(runs(args).status, 0);
    data[777 * 4096 + 9] = (data[777 * 4096 + 9] ?? 0) ^ 1;
    writeFileSync(dir.file('data'), data);
    const refused = runs(args);
    assert.notEqual(refused.status, 0);
    assert.match(refused.stderr, new RegExp(`failed at position ${777 * 4096}`));
    const verdict = await verifyVerity({ ...places, rootHash });
    assert.deepEqual([verdict.ok, verdict.bad[0]?.offset], [false, 777 * 4096]);
  });

  it('we verify what it formats, appended to the data and with its own salt', async () => {
    using dir = scratch('verity');
    const path = dir.file('data');
    writeFileSync(path, randomBytes(300 * 4096));
    const size = 300 * 4096;
    const args = [`--hash-offset=${size}`, '--data-blocks=300', '--hash=sha512', '--hash-block-size=1024'];
    const { stdout } = runs(['format', path, path, ...args]);
    const rootHash = parseRootHash(/Root hash:\s+(\S+)/.exec(stdout)?.[1] ?? '');
    const verdict = await verifyVerity({ data: { path, size }, tree: { path }, hashOffset: size, rootHash });
    assert.equal(verdict.ok, true, JSON.stringify(verdict.checks));
    assert.equal(verdict.geometry?.algorithm, 'sha512');
  });

  it('the same file comes out of both', async () => {
    using dir = scratch('verity');
    const salt = randomBytes(20);
    writeFileSync(dir.file('data'), randomBytes(200 * 4096));
    await formatVerity({ data: { path: dir.file('data') }, tree: { path: dir.file('ours') }, salt, uuid });
    runs(['format', dir.file('data'), dir.file('theirs'), `--salt=${toHex(salt)}`, `--uuid=${uuid}`]);
    assert.ok(readFileSync(dir.file('ours')).equals(readFileSync(dir.file('theirs'))));
  });
});

interface Row extends VectorRow {
  readonly params?: Readonly<Record<string, string | number | boolean>>;
  readonly base?: string;
  readonly mutation?: { readonly offset?: number; readonly length?: number; readonly root_hash?: string };
  readonly expected: {
    readonly result: string;
    readonly root_hash?: string;
    readonly derived?: Readonly<Record<string, string | number | null>>;
  };
}

const found = vectors();
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- checked by the assertions on every field used
const rows = (found?.rows('1-dm-verity') ?? []) as readonly Row[];

function optionsOf(row: Row): Omit<FormatVerityOptions, 'data' | 'tree'> {
  const { params = {} } = row;
  const salt =
    params['salt_bytes'] === undefined ? fromHex(String(params['salt'] ?? '')) : new Uint8Array(257);
  return {
    salt,
    uuid,
    algorithm: String(params['algorithm'] ?? 'sha256'),
    hashType: Number(params['hash_type'] ?? 1) === 0 ? 0 : 1,
    dataBlockSize: Number(params['data_block_size'] ?? params['block_size'] ?? 4096),
    hashBlockSize: Number(params['hash_block_size'] ?? params['block_size'] ?? 4096),
    hashOffset: Number(params['hash_offset'] ?? 0),
    superblock: params['superblock'] !== false,
  };
}

describe('dm-verity vectors', { skip: found === undefined ? noVectors : false }, () => {
  it('are all there', () => assert.equal(rows.length, 22));

  for (const row of rows) {
    it(row.id, async () => {
      using dir = scratch('verity');
      const data = { path: dir.file('data') };
      const tree = { path: dir.file('tree') };
      const source = rows.find(({ id }) => id === row.base) ?? row;
      const { params = {} } = source;
      const options = optionsOf(source);
      const bytes = Number(params['data_bytes'] ?? Number(params['device_bytes'] ?? 65536));
      const oneDevice =
        params['layout'] === 'same-device-offset' || 'device_bytes' in params || params['devices'] === 1;
      const blocks = params['data_blocks'];
      const size = 'device_bytes' in params && typeof blocks === 'number' ? blocks * 4096 : bytes;
      const content = Buffer.alloc(Math.min(bytes, 2 ** 25));
      if (params['data'] !== undefined && params['data'] !== 'zeros')
        content.forEach((_, n) => (content[n] = n & 0xff));
      writeFileSync(data.path, content);
      const places = oneDevice ? { data: { ...data, size }, tree: data } : { data, tree };
      if (row.expected.result === 'accept-or-unsupported-algorithm') {
        await assert.rejects(formatVerity({ ...options, ...places }), { code: 'unsupported' });
        return;
      }
      if (row.expected.result === 'reject' && row.base === undefined) {
        await assert.rejects(formatVerity({ ...options, ...places }), { name: 'FormatError' });
        return;
      }
      const made = await formatVerity({ ...options, ...places });
      const { root_hash: rootHash, derived } = source.expected;
      const expectedRoot = rootHash ?? derived?.['root_hash'];
      if (expectedRoot !== undefined) assert.equal(made.rootHash, expectedRoot);
      if (derived?.['hash_device_sha256'] !== undefined) {
        const device = readFileSync(tree.path);
        assert.equal(device.length, derived['hash_device_bytes']);
        assert.equal(createHash('sha256').update(device).digest('hex'), derived['hash_device_sha256']);
        assert.equal(made.geometry.levels.length, derived['tree_levels']);
      }
      const { offset, length = 0, root_hash: otherRoot } = row.mutation ?? {};
      if (offset !== undefined) {
        for (let at = offset; at < offset + length; at += 1) content[at] = (content[at] ?? 0) ^ 0x5a;
        writeFileSync(data.path, content);
      }
      const bare = options.superblock === false && {
        bare: { ...options, dataBlocks: made.geometry.dataBlocks },
      };
      const verdict = await verifyVerity({
        ...places,
        ...bare,
        hashOffset: options.hashOffset ?? 0,
        rootHash: otherRoot === undefined ? made.rootHash : parseRootHash(otherRoot),
      });
      assert.equal(verdict.ok, row.expected.result === 'accept', JSON.stringify(verdict.checks));
      if (offset !== undefined) assert.equal(verdict.bad[0]?.offset, offset - (offset % 512));
    });
  }
});
