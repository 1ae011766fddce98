import type { Finding, FindingLevel } from '@osguard/layers';
import type { Command } from '../command.ts';
import { defineCommand, flag } from '../command.ts';
import { imageParameter, platformParameter, registryParameters, withImage } from '../registry-input.ts';
import { plural } from '../render/format.ts';
import type { Paint } from '../render/paint.ts';
import { printable } from '../render/paint.ts';

export const layersCheck: Command = defineCommand({
  description: `Reads every layer, without unpacking it to disk, and says what IPE and SELinux of an enforcing host will refuse: code made
while it runs (JIT), programs in volumes or temporary folders, self-clones in memory, stacks and text that would have to be
changed. What a program does without its files showing it is not found. Exit status 1: something will be refused.`,
  options: {
    brief: flag('--brief', 'leave out notes about what runs anyway'),
    platform: platformParameter,
    ...registryParameters,
  },
  args: { image: imageParameter },
  examples: [
    { line: 'osguard layers check registry.example/team/app:1.2', does: 'before anyone deploys it' },
    { line: 'osguard layers check docker-archive:app.tar --brief', does: 'what docker save wrote' },
  ],
  async run(values, { sink, signal }) {
    const { checkImage } = await import('@osguard/layers');
    const { platform, brief } = values;
    const report = await withImage(values.image, values, async (opened) =>
      checkImage(opened, { platform, sink, signal }),
    );
    return {
      exitCode: report.ok ? 0 : 1,
      json: report,
      text(paint) {
        const lines: string[] = [];
        for (const image of report.images) {
          const count = (wanted: FindingLevel): number =>
            image.findings.filter(({ level }) => level === wanted).length;
          const shown = image.findings.filter(({ level }) => !brief || level !== 'note');
          for (const alike of grouped(shown)) lines.push(...renderAlike(alike, paint));
          const [refused, limited, notes] = [count('refused'), count('limited'), count('note')];
          const verdict = refused === 0 ? paint.green('nothing is refused') : paint.red(`${refused} refused`);
          const of = `${plural(image.programs, 'program')} in ${plural(image.files, 'file')}`;
          lines.push(
            `${printable(image.platform)}: ${verdict}, ${limited} limited, ${plural(notes, 'note')}; ${of}`,
          );
        }
        return lines.join('\n');
      },
    };
  },
});

/** How many files of one kind are named; `--json` names all. */
const mostNamed = 6;

/** Findings that differ in nothing but the file, in the order of the first of each kind. */
function grouped(findings: readonly Finding[]): readonly (readonly Finding[])[] {
  const groups = new Map<string, Finding[]>();
  for (const finding of findings) {
    const { level, id, why } = finding;
    const key = JSON.stringify([level, id, why]);
    groups.set(key, [...(groups.get(key) ?? []), finding]);
  }
  return [...groups.values()];
}

function renderAlike(alike: readonly Finding[], paint: Paint): readonly string[] {
  const [first] = alike;
  if (first === undefined) return [];
  const named = alike.slice(0, mostNamed).map(({ path, layer, evidence }) => {
    const from = layer === undefined ? '' : paint.dim(` (layer ${layer})`);
    return `         ${paint.bold(printable(path))}${from}: ${printable(evidence)}`;
  });
  const more = alike.length - named.length;
  return [
    `${markOf(first.level, paint)} ${first.id}: ${printable(first.why)}`,
    ...named,
    ...(more === 0
      ? []
      : [paint.dim(`         … and ${plural(more, 'more file', 'more files')} (--json names all)`)]),
    `         ${paint.cyan('mend:')} ${printable(first.mend)}`,
  ];
}

function markOf(level: FindingLevel, paint: Paint): string {
  if (level === 'refused') return paint.red('refused ');
  return level === 'limited' ? paint.yellow('limited ') : paint.dim('note    ');
}
