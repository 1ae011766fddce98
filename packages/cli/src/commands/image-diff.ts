import type { Command } from '../command.ts';
import { defineCommand, flag, needed } from '../command.ts';

export const imageDiff: Command = defineCommand({
  description: `Packages, files of /usr (content, mode, owner, label, capabilities), command line, sections, initrd, IPE policy, root
hash, signers and partitions. Times of files are not compared. Nothing is verified.

Exit status as diff(1) has it: 0 nothing differs, 1 something does or could not be read, 2 an input is no image.`,
  options: { all: flag('--all', 'list every entry, not only the first of each part') },
  args: {
    a: needed('<a>', 'release folder, raw disk, boot image or EROFS image'),
    b: needed('<b>', 'what it is compared with'),
  },
  examples: [
    { line: 'osguard image diff out-1.0 out-1.1', does: 'what an update changes' },
    {
      line: "osguard image diff a.raw b.raw --json | jq '.parts[] | {id, added, removed, changed}'",
      does: 'only the numbers',
    },
  ],
  async run({ a, b, all }, { signal }) {
    const { diffImages } = await import('@osguard/image');
    const diff = await diffImages(a, b, { signal });
    return {
      exitCode: diff.same ? 0 : 1,
      json: diff,
      async text(paint) {
        const { renderDifference } = await import('../render/difference.ts');
        return renderDifference(diff, { paint, all });
      },
    };
  },
});
