import { step } from '@osguard/events';
import type { Command } from '../command.ts';
import { defineCommand, integerOr, needed } from '../command.ts';
import { renderChecks, renderVerdict } from '../render/checks.ts';
import { formatBytes, plural } from '../render/format.ts';
import { printable } from '../render/paint.ts';
import { bytesProgress, rootHashFrom } from '../verity-input.ts';

export const verityVerify: Command = defineCommand({
  description: `Needs no root rights and no device mapper. Reads trees with a superblock, as veritysetup and systemd-repart write
them, and lists every block that is not what the root hash vouches for. Exit status 1: something is not.`,
  options: {
    hashOffset: integerOr('--hash-offset <bytes>', 'where the superblock begins in the tree file', {
      min: 0,
      fallback: 0,
    }),
  },
  args: {
    data: needed('<data>', 'file or block device'),
    tree: needed('<tree>', 'file or block device with the tree; may be the same'),
    rootHash: needed('<root-hash>', 'hexadecimal, or @FILE'),
  },
  examples: [
    { line: 'osguard verity verify usr.erofs usr.verity @usr.roothash', does: 'the parts of a release' },
  ],
  async run(values, { sink, signal }) {
    const { verifyVerity } = await import('@osguard/image/verity');
    const rootHash = await rootHashFrom(values.rootHash);
    const { data, tree, hashOffset } = values;
    const verdict = await step(
      sink,
      { id: 'verity-verify', title: `hash ${data} and its tree` },
      async (report) => {
        const onProgress = bytesProgress(report);
        const area = { data: { path: data }, tree: { path: tree } };
        const found = await verifyVerity({ ...area, rootHash, hashOffset, signal, onProgress });
        if (found.geometry !== undefined) report.detail(formatBytes(found.geometry.dataBytes));
        return found;
      },
    );
    const { ok, checks, bad, badCount } = verdict;
    return {
      exitCode: ok ? 0 : 1,
      json: { ok, data, tree, rootHash, checks, badCount, bad },
      text(paint) {
        const shown = bad.slice(0, 20).map(({ area, level, index, offset, covers }) => {
          const what = area === 'data' ? `data block ${index}` : `tree block ${index} of level ${level}`;
          const also = area === 'data' ? '' : `, which covers ${plural(covers.count, 'data block')}`;
          return `  ${paint.red('bad')} ${what} at byte ${offset}${also}`;
        });
        const more =
          badCount > shown.length ? [`  … and ${badCount - shown.length} more (--json lists 1000)`] : [];
        const verdictLine = `${printable(data)} ${renderVerdict(ok, checks, paint)}`;
        return [renderChecks(checks, paint), ...shown, ...more, verdictLine].join('\n');
      },
    };
  },
});
