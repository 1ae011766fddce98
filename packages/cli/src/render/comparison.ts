/** A machine's measurements beside a release's, for people: the telling difference first, then the PCRs as a table. */

import type { BrokenRule, Comparison, Difference, TextChange } from '@osguard/attest';
import { plural } from './format.ts';
import type { Paint } from './paint.ts';
import { printable } from './paint.ts';
import { table } from './table.ts';

/** Words or lines of unchanged text that are shown beside a change. */
const context = 2;
/** Characters of a digest that tell two apart for the eye; the whole is in the JSON. */
const digestShown = 16;
/** Differences that are shown in full. */
const mostDifferences = 12;

export function renderComparison(comparison: Comparison, paint: Paint): string {
  const { release, phase, pcrs, differences, broken, ok } = comparison;
  const name = printable(`${release.name} ${release.version}`);
  const at = phase === 'firmware' ? 'before the first phase' : `in phase ${phase}`;
  const head = ok
    ? paint.green(paint.bold(`measures what ${name} promises, ${at}`))
    : paint.red(paint.bold(`does NOT measure what ${name} promises, ${at}`));
  const blocks = [head];
  const shown = new Set<string>();
  for (const difference of differences.slice(0, mostDifferences)) {
    blocks.push(renderMeasured(difference, { paint, shown }));
  }
  if (differences.length > mostDifferences) {
    blocks.push(
      paint.dim(`and ${differences.length - mostDifferences} more differences (--json lists them)`),
    );
  }
  blocks.push(...broken.map((rule) => renderBroken(rule, paint)), pcrTable(pcrs, paint));
  return blocks.join('\n\n');
}

export interface MeasuredOptions {
  readonly paint: Paint;
  /** Texts that stand above already; what is shown is added. */
  readonly shown?: Set<string>;
}

/** One event that is not as expected: what it is, what it means, what was expected and what was found. */
export function renderMeasured(
  difference: Difference,
  { paint, shown = new Set() }: MeasuredOptions,
): string {
  const { pcr, name, kind, expected, found, text, knownFrom, meaning } = difference;
  const title = expected?.what ?? `${found?.type ?? ''} ${found?.says ?? ''}`.trim();
  const verb = { changed: 'is another', missing: 'is missing', unexpected: 'is not expected' }[kind];
  const lines = [`${paint.red(`PCR ${pcr}`)} ${paint.dim(name)}: ${paint.bold(printable(title))} ${verb}`];
  if (meaning !== undefined) lines.push(`  ${printable(meaning)}`);
  const value = (content: string | undefined): string => {
    if (content === undefined || text !== undefined) return '';
    if (shown.has(content)) return ', the text above';
    shown.add(content);
    return `, ${quoted(content)}`;
  };
  if (text !== undefined) {
    const told = JSON.stringify(text);
    lines.push(
      ...(shown.has(told) ? [paint.dim('      (the change above)')] : renderTextChange(text, paint)),
    );
    shown.add(told);
  }
  if (expected !== undefined) {
    const digest = paint.dim(`sha256 ${short(expected.digest)}`);
    lines.push(`  expected: ${printable(expected.source)}${value(expected.text)} ${digest}`);
  }
  if (found !== undefined) {
    const content = value(found.text);
    const says = content === '' ? `${found.type} ${found.says}` : found.type;
    const from = knownFrom === undefined ? '' : `, known from ${printable(knownFrom)}`;
    const where = `event ${found.index} of the ${found.log} log, byte ${found.offset}`;
    const digest = paint.dim(`sha256 ${short(found.digest)}, ${where}`);
    lines.push(`  found:    ${printable(says)}${content}${from} ${digest}`);
    if (expected?.text !== undefined && found.text === undefined) {
      lines.push(paint.dim('            the log holds its digest, not what it was'));
    }
  }
  return lines.join('\n');
}

function renderBroken({ rule, message }: BrokenRule, paint: Paint): string {
  return [
    `${paint.red('firmware')} ${paint.dim(rule.id)}: ${printable(message)}`,
    `  ${printable(rule.why)}`,
  ].join('\n');
}

function renderTextChange(changes: readonly TextChange[], paint: Paint): readonly string[] {
  const separator = changes.some(({ text }) => text.includes('\n')) ? '\n' : ' ';
  const unit = separator === '\n' ? 'line' : 'word';
  return changes.flatMap(({ kind, text }, index) => {
    const parts = text.split(separator);
    if (kind === 'removed') return parts.length === 0 ? [] : changed('-', parts, { paint, separator });
    if (kind === 'added') return changed('+', parts, { paint, separator });
    const first = index === 0 ? [] : parts.slice(0, context);
    const last =
      index === changes.length - 1 ? [] : parts.slice(Math.max(first.length, parts.length - context));
    const hidden = parts.length - first.length - last.length;
    const pieces = [...first, ...(hidden > 0 ? [paint.dim(`(${plural(hidden, unit)})`)] : []), ...last];
    const shown = pieces.map((piece) => (piece.includes('\u001b') ? piece : printable(piece)));
    return separator === '\n' ? shown.map((piece) => `      ${piece}`) : [`      ${shown.join(' ')}`];
  });
}

function changed(
  mark: '-' | '+',
  parts: readonly string[],
  { paint, separator }: { readonly paint: Paint; readonly separator: string },
): readonly string[] {
  const style = mark === '-' ? paint.red : paint.green;
  const lines = separator === '\n' ? parts : [parts.join(' ')];
  return lines.map((line) => style(`    ${mark} ${printable(line)}`));
}

function pcrTable(pcrs: Comparison['pcrs'], paint: Paint): string {
  const rows = pcrs.map(({ pcr, name, ok, expected, found, logsLie }) => [
    ok ? paint.green('ok') : paint.red('differs'),
    String(pcr),
    name,
    short(expected),
    ok ? '' : short(found),
    logsLie === undefined ? '' : paint.red('the logs make another value than the TPM signed'),
  ]);
  return table(rows, { head: ['', 'PCR', 'name', 'expected', 'found', ''] });
}

function short(digest: string): string {
  return `${printable(digest.slice(0, digestShown))}…`;
}

function quoted(text: string): string {
  const most = 400;
  const shown = text.length > most ? `${text.slice(0, most)}…` : text;
  return printable(shown.replaceAll('\n', '; '));
}
