/** The ordered record of a verification: one line per check, what was expected and found where it does not hold. */

import { plural } from './format.ts';
import type { Paint } from './paint.ts';
import { printable } from './paint.ts';

export interface ShownCheck {
  readonly id: string;
  readonly title?: string;
  readonly ok: boolean;
  readonly expected?: string;
  readonly found: string;
  readonly where?: string;
}

export function renderChecks(checks: readonly ShownCheck[], paint: Paint): string {
  const lines = checks.map((check) => {
    const mark = check.ok ? paint.green('ok    ') : paint.red('FAILED');
    const where = check.where === undefined ? '' : paint.dim(` (${printable(check.where)})`);
    const head = `${mark} ${printable(check.title ?? check.id)}${where}`;
    if (check.ok) return `${head}: ${paint.dim(printable(check.found))}`;
    const expected = check.expected === undefined ? [] : [`         expected: ${printable(check.expected)}`];
    return [head, ...expected, `         found:    ${printable(check.found)}`].join('\n');
  });
  return lines.join('\n');
}

export function renderVerdict(ok: boolean, checks: readonly ShownCheck[], paint: Paint): string {
  const failed = checks.filter((check) => !check.ok).length;
  return ok
    ? paint.green(paint.bold(`verified: ${plural(checks.length, 'check')}`))
    : paint.red(paint.bold(`NOT verified: ${failed} of ${plural(checks.length, 'check')} failed`));
}
