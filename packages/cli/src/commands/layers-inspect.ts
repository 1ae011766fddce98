import type { Command } from '../command.ts';
import { defineCommand, text } from '../command.ts';
import { imageParameter, platformParameter, registryParameters, withImage } from '../registry-input.ts';
import { formatBytes, plural } from '../render/format.ts';
import { printable } from '../render/paint.ts';

export const layersInspect: Command = defineCommand({
  description: `Lists platforms, layers, published verity images and signatures in every layout osguard reads. Nothing is judged here and
layers are not downloaded: osguard layers verify does that.`,
  options: {
    trust: text('--trust <folder>', 'certificates that give signers a name'),
    platform: platformParameter,
    ...registryParameters,
  },
  args: { image: imageParameter },
  examples: [
    { line: 'osguard layers inspect registry.example/team/app:1.2', does: 'what is published about it' },
  ],
  async run(values, { signal }) {
    const { inspectImage } = await import('@osguard/layers');
    const { loadKeyring } = await import('@osguard/keys');
    const trust = values.trust === undefined ? undefined : await loadKeyring(values.trust);
    const { platform } = values;
    const report = await withImage(values.image, values, async (opened) =>
      inspectImage(opened, { platform, signal, ...(trust !== undefined && { trust }) }),
    );
    return {
      json: report,
      text(paint) {
        const lines = [`${paint.bold(printable(report.name))} ${report.digest}`, paint.dim(report.mediaType)];
        for (const image of report.images) {
          lines.push('', `${paint.bold(printable(image.platform))} ${image.digest}`);
          for (const [index, layer] of image.layers.entries()) {
            lines.push(`  layer ${index + 1} ${layer.digest} ${paint.dim(formatBytes(layer.size))}`);
            for (const { rootHash, size } of layer.images) {
              lines.push(`    verity image ${rootHash} ${paint.dim(formatBytes(size))}`);
            }
            for (const { layout, rootHash, signer } of layer.signatures) {
              lines.push(
                `    signature of ${rootHash.slice(0, 16)}… by ${printable(signer)} ${paint.dim(layout)}`,
              );
            }
            if (layer.signatures.length === 0) lines.push(`    ${paint.yellow('no signature')}`);
          }
          for (const { artifact, why } of image.unreadable) {
            lines.push(`  ${paint.yellow('unreadable')} ${artifact}: ${printable(why)}`);
          }
        }
        if (report.passedOver > 0) {
          lines.push(
            '',
            paint.dim(`${plural(report.passedOver, 'entry', 'entries')} of the index are no images to run`),
          );
        }
        return lines.join('\n');
      },
    };
  },
});
