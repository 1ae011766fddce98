import type { Command } from '../command.ts';
import type { Diagnostic } from '@osguard/events';
import { defineCommand, flag, needed, text } from '../command.ts';
import { ipePolicyLimits, parsing, readInput, readIpeFile } from '../input.ts';
import { plural } from '../render/format.ts';
import { printable } from '../render/paint.ts';

export const ipeCheck: Command = defineCommand({
  description: `Reads the policy as the kernel does and lists every mistake with its place, then what the kernel accepts but hardly
anybody means: rules that are never reached, operations that are allowed by default, a version that is not raised.`,
  options: {
    previous: text('--previous <policy>', 'the policy loaded now: the new one has to replace it'),
    strict: flag('--strict', 'warnings are mistakes too'),
  },
  args: { policy: needed('<policy>', 'the policy as text') },
  examples: [
    { line: 'osguard ipe check host.pol', does: 'mistakes and warnings' },
    {
      line: 'osguard ipe check new.pol --previous loaded.pol --strict',
      does: 'before it is signed and rolled out',
    },
  ],
  async run({ policy: file, previous: previousFile, strict }) {
    const { checkIpePolicy, formatIpeVersion } = await import('@osguard/formats/ipe');
    const bytes = await readInput(file, ipePolicyLimits);
    const previous = previousFile === undefined ? undefined : (await readIpeFile(previousFile)).policy;
    const { policy, diagnostics: found } = parsing(file, () =>
      checkIpePolicy(bytes, previous === undefined ? {} : { previous }),
    );
    const diagnostics: Diagnostic[] = [];
    for (const diagnostic of found) diagnostics.push({ ...diagnostic, file });
    const errors = diagnostics.filter(({ severity }) => severity === 'error').length;
    const warnings = diagnostics.filter(({ severity }) => severity === 'warning').length;
    const ok = errors === 0 && (!strict || warnings === 0);
    const header =
      policy === undefined ? undefined : { name: policy.name, version: formatIpeVersion(policy.version) };
    return {
      exitCode: ok ? 0 : 1,
      json: { file, ok, ...header, errors, warnings, diagnostics },
      async text(paint) {
        const { renderDiagnostic } = await import('../render/diagnostic.ts');
        const source = bytes.toString('latin1');
        const lines = diagnostics.map((diagnostic) => `${renderDiagnostic(diagnostic, { paint, source })}\n`);
        const verdict = ok ? paint.green('accepted') : paint.red('not accepted');
        const what = header === undefined ? printable(file) : `${printable(header.name)} ${header.version}`;
        return [
          ...lines,
          `${what}: ${verdict}, ${plural(errors, 'error')}, ${plural(warnings, 'warning')}`,
        ].join('\n');
      },
    };
  },
});
