import type { Command } from '../command.ts';
import { defineCommand, flag, text, textOr } from '../command.ts';
import { imageParameter, platformParameter, registryParameters, withImage } from '../registry-input.ts';
import { renderChecks, renderVerdict } from '../render/checks.ts';
import { printable } from '../render/paint.ts';

export const layersVerify: Command = defineCommand({
  description: `Would a host that trusts these certificates run this image? Every layer is converted again and its root hash compared with
what was signed, so a root hash that does not follow from the layer is refused. With --fast the published verity image is hashed
instead, where it names the layer it is of. A check that cannot be made has failed. Exit status 1: not verified, and the reason
in brackets is one of tag-moved, signature-missing, signature-malformed, signature-invalid, signature-of-another-layer,
root-hash-differs, certificate-unknown, certificate-wrong-role, certificate-expired, layer-unreadable.`,
  options: {
    trust: textOr('--trust <folder>', 'whom you trust: a keys folder, or one with certificates only', 'keys'),
    fast: flag('--fast', 'hash the published verity images instead of converting the layers'),
    platform: platformParameter,
    work: text('--work <folder>', 'where images lie on their way (the folder for temporary files)'),
    ...registryParameters,
  },
  args: { image: imageParameter },
  examples: [
    {
      line: 'osguard layers verify registry.example/team/app:1.2 --trust certificates',
      does: 'as an auditor would',
    },
  ],
  async run(values, { sink, signal }) {
    const { loadKeyring } = await import('@osguard/keys');
    const { verifyImage } = await import('@osguard/layers');
    const trust = await loadKeyring(values.trust);
    const { platform, fast, work } = values;
    const at = Date.now();
    const report = await withImage(values.image, values, async (opened) =>
      verifyImage(opened, {
        trust,
        fast,
        platform,
        at,
        sink,
        signal,
        ...(work !== undefined && { workFolder: work }),
      }),
    );
    const { ok, checks, name, digest, reasons } = report;
    return {
      exitCode: ok ? 0 : 1,
      json: report,
      text(paint) {
        return [
          renderChecks(checks, paint),
          `${printable(name)} ${renderVerdict(ok, checks, paint)}`,
          ...(reasons.length === 0 ? [] : [`reasons: ${reasons.join(', ')}`]),
          paint.dim(digest),
        ].join('\n');
      },
    };
  },
});
