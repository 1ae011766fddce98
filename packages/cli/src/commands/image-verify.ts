import type { Command } from '../command.ts';
import { defineCommand, flag, needed, textOr } from '../command.ts';
import { renderChecks, renderVerdict } from '../render/checks.ts';
import { formatBytes, formatDuration } from '../render/format.ts';
import { printable } from '../render/paint.ts';

export const imageVerify: Command = defineCommand({
  description: `Follows the whole chain from the trusted certificates to every block of /usr: manifest, partition table, boot image,
command line, root hash signature, hash tree, IPE policy, SELinux policy, bill of materials. Needs neither root rights nor the
network nor private keys. A check that cannot be made has failed. Exit status 1: not verified.`,
  options: {
    trust: textOr('--trust <folder>', 'whom you trust: a keys folder, or one with certificates only', 'keys'),
    foreign: flag(
      '--foreign',
      'an image of other tools: its signatures and /usr, not what only osguard promises',
    ),
    allDigests: flag(
      '--all-digests',
      'compute the sha256 of usr.erofs too, which the root hash proves already: a tenth slower',
    ),
  },
  args: { image: needed('<image>', 'release folder or raw disk image') },
  examples: [
    { line: 'osguard image verify out --trust certificates', does: 'a release, as an auditor would' },
    { line: 'osguard image verify disk.raw', does: 'a disk alone' },
  ],
  async run({ image, trust, foreign, allDigests }, { sink, signal }) {
    const started = performance.now();
    const { readAhead, verifyImage } = await import('@osguard/image/verify');
    await using threads = readAhead(image);
    const { loadKeyring } = await import('@osguard/keys');
    const report = await verifyImage(image, {
      trust: await loadKeyring(trust),
      foreign,
      allDigests,
      threads,
      sink,
      signal,
    });
    const milliseconds = Math.round(performance.now() - started);
    const { ok, checks, release, rootHash, verifiedBytes } = report;
    return {
      exitCode: ok ? 0 : 1,
      json: { ...report, milliseconds },
      text(paint) {
        const name = release === undefined ? image : `${release.name} ${release.version}`;
        const facts = [
          ...(rootHash === undefined ? [] : [`root hash ${rootHash}`]),
          `${formatBytes(verifiedBytes)} of /usr verified`,
          formatDuration(milliseconds),
        ];
        return [
          renderChecks(checks, paint),
          `${printable(name)} ${renderVerdict(ok, checks, paint)}`,
          paint.dim(facts.join(', ')),
        ].join('\n');
      },
    };
  },
});
