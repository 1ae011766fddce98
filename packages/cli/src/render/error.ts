/** A failure for people: what happened, where, what to do; with --debug also the stack and its causes. */

import { DiagnosticsError } from '@osguard/events';
import type { ErrorReport } from '../report.ts';
import { renderDiagnostic } from './diagnostic.ts';
import type { Paint } from './paint.ts';
import { printable } from './paint.ts';

export interface ErrorOptions {
  readonly paint: Paint;
  readonly debug: boolean;
}

export function renderError(error: unknown, report: ErrorReport, { paint, debug }: ErrorOptions): string {
  const lines: string[] = [];
  if (error instanceof DiagnosticsError) {
    for (const diagnostic of error.diagnostics) {
      const source = error.sources.get(diagnostic.file ?? '');
      lines.push(renderDiagnostic(diagnostic, { paint, ...(source !== undefined && { source }) }), '');
    }
    lines.push(printable(error.message, { lines: true }));
  } else {
    lines.push(`${paint.red(paint.bold('error'))}: ${printable(report.message, { lines: true })}`);
  }
  if (report.hint !== undefined) {
    lines.push(`${paint.cyan('hint')}: ${printable(report.hint, { lines: true })}`);
  }
  if (debug) lines.push('', paint.dim(stackOf(error)));
  return lines.join('\n');
}

function stackOf(error: unknown): string {
  const stacks: string[] = [];
  for (let current = error; current instanceof Error && stacks.length < 10; current = current.cause) {
    stacks.push(printable(current.stack ?? current.message, { lines: true }));
  }
  return stacks.join('\ncaused by: ');
}
