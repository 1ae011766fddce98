import type { Command } from '../command.ts';
import { defineCommand, needed } from '../command.ts';
import { imageParameter, registryOptions, registryParameters, withImage } from '../registry-input.ts';
import { formatBytes, plural } from '../render/format.ts';
import { printable } from '../render/paint.ts';

export const layersCopy: Command = defineCommand({
  description: `Copies every platform, the signatures and the verity images, which tools that know nothing of OCI referrers leave behind.
Digests stay what they are, every byte is checked on the way, and the tag appears last. What is there already is not sent again.`,
  options: { ...registryParameters },
  args: {
    image: imageParameter,
    target: needed(
      '<target>',
      'REGISTRY/REPOSITORY:TAG, oci:FOLDER:NAME, oci-archive:FILE:NAME or docker-archive:FILE:NAME',
    ),
  },
  examples: [
    {
      line: 'osguard layers copy registry.example/team/app:1.2 oci:usb:app',
      does: 'onto a disk, for another network',
    },
    {
      line: 'osguard layers copy oci:usb:app inside.example/team/app:1.2',
      does: 'from the disk into a registry there',
    },
  ],
  async run(values, { sink, signal }) {
    const { copyImage, openTarget } = await import('@osguard/layers');
    const report = await withImage(values.image, values, async (from) => {
      const to = await openTarget(values.target, registryOptions(values));
      try {
        return await copyImage(from, to, { sink, signal });
      } finally {
        await to.store.close();
      }
    });
    return {
      json: report,
      text(paint) {
        const { blobs, bytes, manifests, artifacts } = report;
        const sent = `${plural(blobs.copied, 'blob')} (${formatBytes(bytes)}), ${blobs.mounted} mounted, ${blobs.there} there already`;
        return [
          `${paint.green('copied')} ${printable(report.from)} to ${printable(report.to)}@${report.digest}`,
          paint.dim(`${plural(manifests, 'manifest')}, ${plural(artifacts, 'signature artifact')}; ${sent}`),
        ].join('\n');
      },
    };
  },
});
