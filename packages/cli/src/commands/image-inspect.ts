import type { Command } from '../command.ts';
import { defineCommand, flag, needed } from '../command.ts';

export const imageInspect: Command = defineCommand({
  description: `Partitions, boot image and its signers, command line, what may execute and by which rule, set-ID files, file
capabilities, interpreters, packages with licences. Reads what can be read of images made by other tools too. Nothing is verified.`,
  options: { all: flag('--all', 'list every file, package and partition, not only the first few') },
  args: { image: needed('<image>', 'release folder, raw disk, boot image or EROFS image') },
  examples: [
    { line: 'osguard image inspect out', does: 'a release' },
    { line: "osguard image inspect disk.raw --json | jq '.usr.setuid'", does: 'one fact for a script' },
  ],
  async run({ image, all }) {
    const { inspectImage } = await import('@osguard/image');
    const report = await inspectImage(image);
    return {
      json: report,
      async text(paint) {
        const { renderInspection } = await import('../render/inspection.ts');
        return renderInspection(report, { paint, all });
      },
    };
  },
});
