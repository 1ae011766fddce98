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
  description: 'Nodes that become or stop being trusted, releases, approvals: one line each, until Ctrl-C.',
  options: {
    ...endpointOptions,
    after: integer('--after <number>', 'begin after this decision instead of now', { min: 0 }),
  },
  args: {},
  examples: [{ line: 'osguard attest watch', does: 'see the fleet change' }],
  async run(values, context) {
    const { paths } = await import('@osguard/attest/protocol');
    let seen = 0;
    // Nobody reads any more (`| head`): lines were all this is for.
    const gone = new AbortController();
    (context.json ? process.stderr : process.stdout).once('error', () => gone.abort());
    const signal = AbortSignal.any([context.signal, gone.signal]);
    try {
      await asking(values, { io: context.io, signal }, async (client) => {
        for await (const line of client.lines(paths.events, { after: values.after })) {
          if (!line.startsWith('data: ')) continue;
          // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- shown only, whatever it is
          const { seq, at, kind, subject, actor } = JSON.parse(line.slice(6)) as Shown;
          const time = timeText(new Date(Number(at)).toISOString());
          context.live(
            printable(
              `${String(seq)}  ${time}  ${String(kind)}  ${typeof subject === 'string' ? subject : ''}  by ${String(actor)}`,
            ),
          );
          seen += 1;
        }
      });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    return { json: { seen }, text: () => '' };
  },
});
