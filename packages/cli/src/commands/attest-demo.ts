import type { AttestDemo, DemoBoot, DemoChapter } from '@osguard/machine/attest-demo';
import type { Command } from '../command.ts';
import { defineCommand } from '../command.ts';
import { demoArguments, demoMachine, demoOptions } from '../demo-options.ts';
import { tellApart } from '@osguard/node';
import { formatDuration } from '../render/format.ts';
import type { Paint } from '../render/paint.ts';
import { printable } from '../render/paint.ts';

export const attestDemo: Command = defineCommand({
  description: `Starts a verifier on this machine that trusts the release and the maker of one virtual TPM, and holds back a secret.
The release boots with that TPM: it enrols, is trusted, and gets the secret. Then the same disk boots with one kernel argument
changed, signed by the same boot key, as its thief could: it is refused, and each measurement that differs is named. The
release's definition must name this machine: attest: {verifier: "https://10.0.2.2:7443"}. Exit status 1 when it went otherwise.`,
  options: demoOptions,
  args: demoArguments,
  examples: [{ line: 'osguard attest demo out', does: 'two boots: trusted, then refused' }],
  async run(values, { sink, signal, live, paint }) {
    const { demonstrateAttestation } = await import('@osguard/machine/attest-demo');
    const demo = await demonstrateAttestation({
      ...(await demoMachine(values)),
      sink,
      signal,
      onChapter: (chapter) => chapterLines(chapter, paint).forEach(live),
    });
    return {
      exitCode: demo.ok ? 0 : 1,
      json: demo,
      text: (style) => summary(demo, style),
    };
  },
});

/** Measurements that are told in full; the rest is in the JSON. */
const mostDifferences = 6;
const indent = ' '.repeat(4);

function chapterLines(chapter: DemoChapter, paint: Paint): readonly string[] {
  const mark = chapter.ok ? paint.green('ok    ') : paint.red('WRONG ');
  if (chapter.id === 'held-back') {
    const { secret, verifier, answer } = chapter;
    return [
      `${mark}${paint.bold('held back')}  ${secret} at ${verifier}: who proved nothing gets "${printable(answer)}"`,
    ];
  }
  const { outcome, node, trust, given, change } = chapter;
  const { verdict, lines } =
    outcome.end === 'refused' ? refused(chapter, paint) : { verdict: trust, lines: [] };
  const what =
    change === undefined
      ? 'the release as it was built'
      : `the same disk with ${change.from} → ${change.to}, signed by the same boot key`;
  const shown = trust === 'trusted' ? paint.green(verdict) : paint.red(verdict);
  const secrets = given.length === 0 ? 'no secret given' : `given: ${given.join(', ')}`;
  return [
    `${mark}${paint.bold(what)}`,
    `${indent}booted and spoke for itself after ${formatDuration(outcome.seconds * 1000)}, node ${node.slice(0, 16)}…`,
    `${indent}${shown}; ${secrets}`,
    ...lines,
    ...(chapter.ok ? [] : outcome.lines.map((line) => `${indent}${paint.yellow(printable(line))}`)),
  ];
}

/** Which event of which PCR differed, what was expected and what was found, and where the expectation comes from. */
function refused(
  { failed }: DemoBoot,
  paint: Paint,
): { readonly verdict: string; readonly lines: readonly string[] } {
  const lines = failed.slice(0, mostDifferences).flatMap(({ message, where, ...check }) => {
    const { expected, found } = tellApart(check);
    return [
      `${indent}${paint.bold(printable(where ?? check.id))}: ${printable(message)}`,
      ...(expected === undefined ? [] : [`${indent}  expected ${paint.green(printable(expected))}`]),
      ...(found === undefined ? [] : [`${indent}  found    ${paint.red(printable(found))}`]),
    ];
  });
  const more = failed.length - mostDifferences;
  if (more > 0) lines.push(`${indent}and ${more} more`);
  return { verdict: 'refused', lines };
}

function summary({ ok, release }: AttestDemo, paint: Paint): string {
  const name = `${printable(release.name)} ${printable(release.version)}`;
  return ok
    ? paint.green(`${name} proves what it booted, and gets nothing for anything else`)
    : paint.red(`${name}: the demonstration went otherwise than it must`);
}
