import type { ProofReport, Row } from '@osguard/machine/prove';
import type { Command, CommandContext } from '../command.ts';
import { defineCommand, flag, integer, list, needed, text, textOr } from '../command.ts';
import { formatBytes, formatDuration, plural } from '../render/format.ts';
import type { Paint } from '../render/paint.ts';
import { printable } from '../render/paint.ts';

export const proveRelease: Command = defineCommand({
  description: `Boots the release in a virtual machine with its own keys enrolled and lets an intruder with root rights attack it.
Every attack has a control that shows that it would have worked otherwise. Exit status 1 when anything is not blocked;
an attack that could not be tried is listed with the reason and never counts as blocked. Needs the private keys of the roles
boot and layers, because the release itself lets nobody in; where only signed layers run, those of usr and release too.`,
  options: {
    keys: textOr('--keys <folder>', 'key folder the release was signed with', 'keys'),
    short: flag('--short', 'only what one boot can show, without control boots'),
    only: list('--only <attack>', 'only this attack; may be given several times'),
    html: text('--html <file>', 'also write the report as one web page'),
    consoles: text('--consoles <folder>', 'keep the consoles of all boots there'),
    memory: integer('--memory <MiB>', 'of the virtual machine (2048)', { min: 1024, max: 65_536 }),
    cpus: integer('--cpus <number>', 'of the virtual machine (2)', { min: 1, max: 64 }),
  },
  args: { release: needed('<release>', 'release folder') },
  examples: [
    { line: 'osguard prove out --html proof.html', does: 'the whole table, as text and as a page' },
    { line: 'osguard prove out --short', does: 'what one boot can show' },
    { line: 'osguard prove out --only usr-data --only exec-memfd', does: 'some attacks' },
  ],
  async run(values, context) {
    const { openRelease } = await import('@osguard/image');
    const { loadKeyring } = await import('@osguard/keys');
    const { prove } = await import('@osguard/machine/prove');
    const { memory, cpus, consoles, only, html } = values;
    const { assertPlaceFor, writeWhole } = await import('../write-whole.ts');
    if (html !== undefined) await assertPlaceFor(html);
    const report = await prove({
      release: await openRelease(values.release),
      keyring: await loadKeyring(values.keys),
      short: values.short,
      sink: context.sink,
      signal: context.signal,
      onRow: (row) => context.live(rowLine(row, context)),
      ...(only.length > 0 && { only }),
      ...(consoles !== undefined && { consoles }),
      ...(memory !== undefined && { memoryMiB: memory }),
      ...(cpus !== undefined && { cpus }),
    });
    if (html !== undefined) {
      const { proofHtml } = await import('../render/proof-html.ts');
      await writeWhole(html, proofHtml(report));
    }
    return {
      exitCode: report.checks.every(({ result }) => result === 'blocked') ? 0 : 1,
      json: report,
      text: (paint) => summaryText(report, { paint, html }),
    };
  },
});

const marks: Readonly<Record<Row['result'], string>> = {
  blocked: 'blocked     ',
  'not-blocked': 'NOT BLOCKED ',
  untestable: 'not testable',
};
/** Columns of the longest name of an attack. */
const nameWidth = 27;
const longestEvidence = 160;

function rowLine(row: Row, { paint }: CommandContext): string {
  const color = { blocked: paint.green, 'not-blocked': paint.red, untestable: paint.yellow }[row.result];
  const head = `${color(marks[row.result])}  ${row.id.padEnd(nameWidth)}`;
  const facts = `${row.protection}, ${formatDuration(row.seconds * 1000)}, control ${row.control}`;
  // What did not hold has to be read in full.
  const evidence = printable(row.evidence);
  const shown =
    row.result !== 'blocked' || evidence.length <= longestEvidence
      ? evidence
      : `${evidence.slice(0, longestEvidence)} …`;
  return `${head}${facts}\n${' '.repeat(14)}${paint.dim(shown)}`;
}

function summaryText(
  report: ProofReport,
  { paint, html }: { readonly paint: Paint; readonly html: string | undefined },
): string {
  const { summary, cleanBoot, environment, release } = report;
  const { blocked, notBlocked, untestable } = summary;
  const verdict =
    notBlocked > 0
      ? paint.red(`${plural(notBlocked, 'attack')} not blocked`)
      : untestable > 0
        ? paint.yellow(`${plural(untestable, 'attack')} could not be tried`)
        : paint.green(`all ${plural(blocked, environment.complete ? 'attack' : 'chosen attack')} blocked`);
  const open = report.checks.filter(({ result }) => result !== 'blocked');
  const lines = [
    '',
    `${paint.bold(printable(release.name))} ${printable(release.version)}: ${verdict}`,
    `${blocked} blocked, ${notBlocked} not blocked, ${untestable} not testable here; ${formatDuration(summary.seconds * 1000)}, ${environment.accelerator.toUpperCase()}, ${plural(environment.cpus, 'processor')}`,
    ...open.map(({ id, result, evidence }) => `  ${marks[result].trim()}: ${id}: ${printable(evidence)}`),
  ];
  if (cleanBoot !== undefined) {
    const { denials, failedUnits, startup, memoryUsed, interpreters } = cleanBoot;
    lines.push(
      `before any attack: ${plural(denials.length, 'denial')}, ${plural(failedUnits.length, 'failed unit')}, ${formatBytes(memoryUsed)} of memory used`,
      ...startup.slice(0, 1).map((line) => `  ${printable(line)}`),
      ...[...denials, ...failedUnits].map((line) => `  ${paint.yellow(printable(line))}`),
    );
    if (interpreters.length > 0) {
      lines.push(
        paint.yellow(`interpreters in /usr: ${interpreters.map((path) => printable(path)).join(', ')}`),
      );
    }
  }
  if (html !== undefined) lines.push(`report: ${printable(html)}`);
  return lines.join('\n');
}
