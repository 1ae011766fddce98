import { step } from '@osguard/events';
import type { ConvertLayerOptions, DiffId } from '@osguard/layers';
import type { Command } from '../command.ts';
import { defineCommand, integer, needed, text } from '../command.ts';
import { formatBytes, plural } from '../render/format.ts';
import { printable } from '../render/paint.ts';
import { UsageError } from '../report.ts';

export const layersConvert: Command = defineCommand({
  description: `A layer's tar, plain or compressed with gzip or zstd, becomes an EROFS image with its dm-verity superblock and hash
tree behind it. The same layer gives the same bits everywhere, so that a root hash can be signed before the node that
mounts the image has it.`,
  options: {
    out: text('-o, --out <file>', 'where the image goes (the name of the layer with .erofs)'),
    diffId: text('--diff-id <digest>', 'refuse any other layer (sha256:…, of the uncompressed tar)'),
    transport: text('--transport <file>', 'also write the blob in which registries keep the image'),
    maxSize: integer('--max-size <bytes>', 'refuse a larger uncompressed tar (64 GiB)', { min: 512 }),
  },
  args: { layer: needed('<layer>', 'a file: .tar, .tar.gz or .tar.zst') },
  examples: [
    { line: 'osguard layers convert layer.tar.gz -o layer.erofs', does: 'one layer, ready for dm-verity' },
    {
      line: 'osguard layers convert layer.tar --transport layer.blob',
      does: 'also what a registry keeps; the result can be checked with osguard verity verify or veritysetup',
    },
  ],
  async run({ layer, out, diffId, transport, maxSize }, { sink, signal }) {
    const { convertLayer } = await import('@osguard/layers/convert');
    const output = out ?? `${layer.replace(/\.(tar|tgz|tar\.gz|tar\.zst)$/, '')}.erofs`;
    const options: ConvertLayerOptions = {
      output,
      signal,
      ...(diffId !== undefined && { diffId: diffIdOf(diffId) }),
      ...(maxSize !== undefined && { limits: { maxTarSize: maxSize } }),
    };
    const title = { id: 'layer-convert', title: `convert ${layer}` };
    const converted = await step(sink, title, async (report) => {
      const result = await convertLayer(
        { file: layer },
        {
          ...options,
          onProgress: (done, total) =>
            report.progress({ done, ...(total !== undefined && { total }), unit: 'bytes' }),
        },
      );
      report.detail(`${plural(result.inodes, 'inode')}, ${formatBytes(result.size)}`);
      return result;
    });
    for (const { name, count } of converted.dropped) {
      const message = `${printable(name)} of ${plural(count, 'file')} is not kept: it means nothing on another host`;
      sink({ type: 'warning', code: 'xattr-dropped', message });
    }
    const blob =
      transport === undefined
        ? undefined
        : await step(sink, { id: 'layer-transport', title: `compress ${output}` }, async (report) => {
            const { encodeTransport } = await import('@osguard/layers');
            const encoded = await encodeTransport(output, {
              output: transport,
              layer: converted,
              signal,
              onProgress: (done, total) => report.progress({ done, total, unit: 'bytes' }),
            });
            report.detail(`${plural(encoded.chunks, 'chunk')}, ${formatBytes(encoded.size)}`);
            return encoded;
          });
    return {
      json: {
        layer,
        image: output,
        ...converted,
        ...(blob !== undefined && { transport: { file: transport, ...blob } }),
      },
      async text(paint) {
        const { table } = await import('../render/table.ts');
        return table([
          ['diff ID', converted.diffId],
          [
            'image',
            `${printable(output)}, ${formatBytes(converted.size)} for ${formatBytes(converted.tarSize)} of tar`,
          ],
          ['hash offset', String(converted.hashOffset)],
          ...(blob === undefined
            ? []
            : [['transport', `${printable(transport ?? '')}, ${formatBytes(blob.size)}, ${blob.digest}`]]),
          ['root hash', paint.bold(converted.rootHash)],
        ]);
      },
    };
  },
});

function diffIdOf(given: string): DiffId {
  if (/^sha256:[0-9a-f]{64}$/.test(given)) return `sha256:${given.slice('sha256:'.length)}`;
  throw new UsageError('--diff-id is sha256: and 64 hexadecimal digits, as image configurations list it');
}
