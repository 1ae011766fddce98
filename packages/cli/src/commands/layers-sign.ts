import type { Command } from '../command.ts';
import { defineCommand, flag, text, textOr } from '../command.ts';
import { imageParameter, platformParameter, registryParameters, withImage } from '../registry-input.ts';
import { plural } from '../render/format.ts';
import { printable } from '../render/paint.ts';

export const layersSign: Command = defineCommand({
  description: `Converts every layer to the verity image a host mounts, signs its root hash with the key of the role layers, and
publishes both beside the image, as OCI referrers: the image itself does not change. Layers this key has signed already are kept,
so an interrupted run goes on and a second one changes nothing. Credentials are docker's: docker login REGISTRY.`,
  options: {
    keys: textOr('--keys <folder>', 'the key folder', 'keys'),
    signer: text('--signer <name>', 'which of several signers of the role: the file name without .crt'),
    platform: platformParameter,
    again: flag('--again', 'convert and sign layers once more that are signed already'),
    work: text('--work <folder>', 'where images lie on their way (the folder for temporary files)'),
    ...registryParameters,
  },
  args: { image: imageParameter },
  examples: [
    { line: 'osguard layers sign registry.example/team/app:1.2', does: 'every platform of an image' },
    {
      line: 'osguard layers sign oci:folder:app --platform linux/arm64',
      does: 'one platform, in an OCI layout',
    },
  ],
  async run(values, { sink, signal }) {
    const { loadKeyring } = await import('@osguard/keys');
    const { signImage } = await import('@osguard/layers');
    const signer = await (await loadKeyring(values.keys)).signer('layers', values.signer);
    const { platform, again, work } = values;
    const report = await withImage(values.image, values, async (opened) =>
      signImage(opened, {
        signer,
        platform,
        again,
        sink,
        signal,
        ...(work !== undefined && { workFolder: work }),
      }),
    );
    return {
      json: report,
      text(paint) {
        const lines = report.images.map(({ platform: name, layers }) => {
          const kept = layers.filter(({ state }) => state === 'kept').length;
          const also = kept === 0 ? '' : paint.dim(`, ${kept} of them before`);
          return `${paint.green('signed')} ${printable(name)}: ${plural(layers.length, 'layer')}${also}`;
        });
        return [...lines, `by ${printable(report.signer)}: ${printable(report.pinned)}`].join('\n');
      },
    };
  },
});
