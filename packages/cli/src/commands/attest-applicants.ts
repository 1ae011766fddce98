import type { Command } from '../command.ts';
import { defineCommand } from '../command.ts';
import { printable } from '../render/paint.ts';
import { asking, endpointOptions, timeText } from '../verifier.ts';

export const attestApplicants: Command = defineCommand({
  description:
    'Machines that tried to enrol and whose endorsement key nobody vouched for; the list forgets after a day.',
  options: endpointOptions,
  args: {},
  examples: [{ line: 'osguard attest applicants', does: 'who waits for osguard attest approve' }],
  async run(values, context) {
    const { applicantsAnswerSchema, paths } = await import('@osguard/attest/protocol');
    const { applicants } = await asking(values, context, async (client) =>
      client.ask({ path: paths.applicants, answer: applicantsAnswerSchema }),
    );
    return {
      json: { applicants },
      text(paint) {
        if (applicants.length === 0) return paint.dim('nobody waits');
        return applicants
          .map((one) => {
            const why = one.checks.find(({ ok }) => !ok)?.message ?? '';
            const from = `from ${printable(one.address)}, ${one.attempts} times, last ${timeText(one.at)}`;
            return `${paint.bold(one.node)}  ${printable(one.name)}\n  ${paint.dim(from)}\n  ${printable(why)}`;
          })
          .join('\n');
      },
    };
  },
});
