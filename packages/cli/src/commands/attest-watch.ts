import { setTimeout } from 'node:timers/promises';
import type { Command } from '../command.ts';
import { defineCommand, integer } from '../command.ts';
import { printable } from '../render/paint.ts';
import { asking, endpointOptions, timeText } from '../verifier.ts';

interface Shown {
  readonly seq: unknown;
  readonly at: unknown;
  readonly kind: unknown;
  readonly subject: unknown;
  readonly actor: unknown;
}

export const attestWatch: Command = defineCommand({
  description: `Nodes that become or stop being trusted, releases, approvals, policies: one line each, until Ctrl-C. When the
connection breaks it is made anew, and goes on where it was. With --json each is one line of JSON.`,
  options: {
    ...endpointOptions,
    after: integer('--after <number>', 'begin after this decision instead of now', { min: 0 }),
  },
  args: {},
  examples: [{ line: 'osguard attest watch', does: 'see the fleet change' }],
  async run(values, context) {
    const { decisionsAnswerSchema, paths } = await import('@osguard/attest/protocol');
    const { ClientError } = await import('@osguard/attest/client');
    const { signal, io, json } = context;
    let seen = 0;
    await asking(values, context, async (client) => {
      const query = { limit: 1 };
      const { head } = await client.ask({ path: paths.decisions, query, answer: decisionsAnswerSchema });
      let after = values.after ?? head.seq;
      for (let failures = 0; !signal.aborted; failures += 1) {
        try {
          for await (const line of client.lines(paths.events, { after })) {
            failures = 0;
            if (!line.startsWith('data: ')) continue;
            const text = line.slice('data: '.length);
            // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- shown only, whatever it is
            const shown = JSON.parse(text) as Shown;
            if (json) io.stdout.write(`${text}\n`);
            else context.live(lineOf(shown));
            after = Number(shown.seq);
            seen += 1;
          }
        } catch (error) {
          if (signal.aborted) return;
          // What the verifier refuses it will refuse again.
          if (error instanceof ClientError && error.code !== 'unreachable') throw error;
        }
        if (failures === 0) io.stderr.write('the connection broke; trying again\n');
        await setTimeout(Math.min(1000 * 2 ** failures, 30_000), undefined, { signal }).catch(
          () => undefined,
        );
      }
    });
    return { json: { seen }, text: () => '' };
  },
});

function lineOf({ seq, at, kind, subject, actor }: Shown): string {
  const time = timeText(new Date(Number(at)).toISOString());
  const about = typeof subject === 'string' ? subject : '';
  return printable(`${String(seq)}  ${time}  ${String(kind)}  ${about}  by ${String(actor)}`);
}
