import type { Command } from '../command.ts';
import { defineCommand, text } from '../command.ts';
import { printable } from '../render/paint.ts';

export const doctor: Command = defineCommand({
  options: { mirror: text('--mirror <url>', "package mirror to try instead of apt's own") },
  args: {},
  examples: [{ line: 'osguard doctor', does: 'before the first build' }],
  async run({ mirror }) {
    const { examineMachine } = await import('@osguard/machine');
    const findings = await examineMachine(mirror === undefined ? {} : { mirror });
    const missing = findings.filter(({ state }) => state === 'missing');
    return {
      exitCode: missing.length === 0 ? 0 : 1,
      json: { ok: missing.length === 0, findings },
      text(paint) {
        const marks = {
          ok: paint.green('ok      '),
          degraded: paint.yellow('degraded'),
          missing: paint.red('missing '),
        };
        const lines = findings.map(({ id, state, found, meaning, mend }) => {
          const more = mend === undefined ? '' : `\n            ${paint.cyan('mend:')} ${printable(mend)}`;
          return `${marks[state]}  ${paint.bold(id)}: ${printable(found)}\n            ${paint.dim(printable(meaning))}${more}`;
        });
        return lines.join('\n');
      },
    };
  },
});
