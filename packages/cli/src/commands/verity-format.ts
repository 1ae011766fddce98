import { randomBytes, randomUUID } from 'node:crypto';
import { step } from '@osguard/events';
import type { Command } from '../command.ts';
import { choiceOr, defineCommand, flag, integerOr, needed, text } from '../command.ts';
import { formatBytes } from '../render/format.ts';
import { printable } from '../render/paint.ts';
import { bytesProgress, saltOf } from '../verity-input.ts';
import { assertPlaceFor, writeWhole } from '../write-whole.ts';

export const verityFormat: Command = defineCommand({
  description: `The result is what \`veritysetup format\` writes with the same parameters, bit by bit. The tree may be a file of its
own or be appended to the data (the same file, and --hash-offset).`,
  options: {
    hash: choiceOr('--hash <name>', 'digest', {
      choices: ['sha1', 'sha224', 'sha256', 'sha384', 'sha512'],
      fallback: 'sha256',
    }),
    salt: text('--salt <hex>', 'salt, - for none (random)'),
    uuid: text('--uuid <uuid>', 'UUID of the superblock (random)'),
    dataBlockSize: integerOr('--data-block-size <bytes>', 'a power of two', {
      min: 512,
      max: 524_288,
      fallback: 4096,
    }),
    hashBlockSize: integerOr('--hash-block-size <bytes>', 'a power of two', {
      min: 512,
      max: 524_288,
      fallback: 4096,
    }),
    hashOffset: integerOr('--hash-offset <bytes>', 'where superblock or tree begins in the tree file', {
      min: 0,
      fallback: 0,
    }),
    dataSize: integerOr('--data-size <bytes>', 'how much of the data is protected, 0: all of it', {
      min: 0,
      fallback: 0,
    }),
    bare: flag('--no-superblock', 'write the tree only'),
    rootHashFile: text('--root-hash-file <file>', 'also write the root hash there'),
  },
  args: {
    data: needed('<data>', 'file or block device to protect'),
    tree: needed('<tree>', 'where the tree goes'),
  },
  examples: [
    { line: 'osguard verity format usr.erofs usr.verity', does: 'a tree beside the data' },
    {
      line: 'osguard verity format layer.img layer.img --hash-offset 104857600 --data-size 104857600',
      does: 'a tree behind 100 MiB of data',
    },
  ],
  async run(values, { sink, signal }) {
    const { formatVerity } = await import('@osguard/image/verity');
    if (values.rootHashFile !== undefined) await assertPlaceFor(values.rootHashFile);
    const salt = values.salt === undefined ? randomBytes(32) : saltOf(values.salt);
    const uuid = values.uuid ?? randomUUID();
    const { data, tree, hash, dataBlockSize, hashBlockSize, hashOffset, dataSize, bare } = values;
    const done = await step(sink, { id: 'verity-format', title: `hash ${data}` }, async (report) => {
      const formatted = await formatVerity({
        data: { path: data, ...(dataSize > 0 && { size: dataSize }) },
        tree: { path: tree },
        salt,
        uuid,
        algorithm: hash,
        dataBlockSize,
        hashBlockSize,
        hashOffset,
        superblock: !bare,
        signal,
        onProgress: bytesProgress(report),
      });
      report.detail(formatBytes(formatted.geometry.dataBytes));
      return formatted;
    });
    const { rootHash, geometry } = done;
    if (values.rootHashFile !== undefined) await writeWhole(values.rootHashFile, rootHash);
    const { dataBlocks, treeBlocks, hashEnd } = geometry;
    return {
      json: {
        data,
        tree,
        rootHash,
        algorithm: hash,
        salt: Buffer.from(salt).toString('hex'),
        uuid: bare ? null : uuid,
        superblock: !bare,
        dataBlocks,
        dataBlockSize,
        treeBlocks,
        hashBlockSize,
        hashOffset,
        hashEnd,
      },
      async text(paint) {
        const { table } = await import('../render/table.ts');
        return table([
          ...(bare ? [] : [['UUID', uuid]]),
          ['algorithm', hash],
          ['data', `${dataBlocks} blocks of ${dataBlockSize} bytes in ${printable(data)}`],
          ['tree', `${treeBlocks} blocks of ${hashBlockSize} bytes in ${printable(tree)}`],
          ['salt', salt.length === 0 ? '-' : Buffer.from(salt).toString('hex')],
          ['root hash', paint.bold(rootHash)],
        ]);
      },
    };
  },
});
