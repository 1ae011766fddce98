/** A mistake in a text, shown with the line it stands in and a squiggle below. */

import type { Diagnostic } from '@osguard/events';
import type { Paint } from './paint.ts';
import { printable } from './paint.ts';

export interface DiagnosticOptions {
  readonly paint: Paint;
  /** The text the diagnostic is about. */
  readonly source?: string;
}

/** Longer lines are cut around the mistake. Characters. */
const widest = 120;

export function renderDiagnostic(diagnostic: Diagnostic, { paint, source }: DiagnosticOptions): string {
  const { severity, code, message, hint, file, range } = diagnostic;
  const color = severity === 'error' ? paint.red : severity === 'warning' ? paint.yellow : paint.cyan;
  const lines = [
    `${color(paint.bold(severity))}${paint.dim(`[${code}]`)} ${printable(message, { lines: true })}`,
  ];
  if (range !== undefined) {
    const where = `${file ?? 'input'}:${range.start.line}:${range.start.column}`;
    lines.push(`  ${paint.dim('at')} ${printable(where)}`);
    lines.push(...excerpt(diagnostic, { source, color, paint }));
  } else if (file !== undefined) {
    lines.push(`  ${paint.dim('in')} ${printable(file)}`);
  }
  if (hint !== undefined) lines.push(`  ${paint.cyan('hint:')} ${printable(hint, { lines: true })}`);
  return lines.join('\n');
}

function excerpt(
  { range }: Diagnostic,
  { source, color, paint }: { source: string | undefined; color: (text: string) => string; paint: Paint },
): string[] {
  const raw = source?.split(/\r\n|\r|\n/)[(range?.start.line ?? 0) - 1];
  if (raw === undefined || range === undefined) return [];
  const from = Math.max(0, range.start.column - 1);
  const onOneLine = range.end.line === range.start.line;
  const to = Math.max(from + 1, onOneLine ? range.end.column - 1 : raw.length);
  const cut = from > widest - 20 ? from - 20 : 0;
  const before = printable(raw.slice(cut, from));
  const marked = printable(raw.slice(from, Math.min(to, cut + widest)));
  const after = printable(raw.slice(to, cut + widest));
  const number = String(range.start.line);
  const gutter = ' '.repeat(number.length);
  const lead = cut > 0 ? '…' : '';
  const trail = raw.length > cut + widest ? '…' : '';
  const squiggle = '^'.repeat(Math.max(1, marked.length));
  return [
    `  ${paint.dim(`${number} |`)} ${lead}${before}${marked}${after}${trail}`,
    `  ${paint.dim(`${gutter} |`)} ${' '.repeat(lead.length + before.length)}${color(squiggle)}`,
  ];
}
