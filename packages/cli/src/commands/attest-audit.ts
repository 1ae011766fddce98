import type { ChainEntry, OperatorClient } from '@osguard/attest/client';
import type { Command } from '../command.ts';
import { defineCommand, text } from '../command.ts';
import { plural } from '../render/format.ts';
import { printable } from '../render/paint.ts';
import { UsageError } from '../report.ts';
import { asking, endpointOptions } from '../verifier.ts';

export const attestAudit: Command = defineCommand({
  description: `Reads every decision the verifier ever made and computes the chain of hashes again. Nothing that is there can have
been changed, removed or put in between then. That nothing was cut off at the end shows only against a place noted earlier: keep
what this prints, and give it next time with --known. The exit status is 1 when the chain does not hold.`,
  options: {
    ...endpointOptions,
    known: text('--known <seq:hash>', 'a place this command printed earlier'),
    database: text(
      '--database <place>',
      'read this database (SQLite file or postgres://…) instead of asking',
    ),
  },
  args: {},
  examples: [
    {
      line: 'osguard attest audit --known 1042:5f…',
      does: 'is everything since then, and before, untouched',
    },
  ],
  async run(values, context) {
    const { parsePlace, placeText, verifyChain } = await import('@osguard/attest/client');
    const known = values.known === undefined ? undefined : parsePlace(values.known);
    if (values.known !== undefined && known === undefined) {
      throw new UsageError('--known: expected SEQ:HASH as this command prints it');
    }
    const report =
      values.database === undefined
        ? await asking(values, context, async (client) => {
            const source = await fromClient(client);
            return verifyChain(source.entries, { head: source.head, known });
          })
        : await fromDatabase(values.database, async (source) =>
            verifyChain(source.entries, { head: source.head, known }),
          );
    return {
      exitCode: report.ok ? 0 : 1,
      json: report,
      text(paint) {
        const lines = report.checks.flatMap(({ ok, message, where, expected, found }) => {
          const head = `${ok ? paint.green('ok    ') : paint.red('FAILED')} ${printable(message)}`;
          if (ok) return [head];
          return [
            head,
            ...(where === undefined ? [] : [`         where:    ${printable(where)}`]),
            ...(expected === undefined ? [] : [`         expected: ${printable(expected)}`]),
            ...(found === undefined ? [] : [`         found:    ${printable(found)}`]),
          ];
        });
        const kinds = Object.entries(report.kinds).map(([kind, count]) => `  ${count} ${printable(kind)}`);
        const steps =
          report.clockSteps === 0
            ? []
            : [
                paint.yellow(
                  `the clock was set back ${plural(report.clockSteps, 'time')} while they were made`,
                ),
              ];
        return [...lines, ...kinds, ...steps, `${paint.bold('keep this:')} ${placeText(report.head)}`].join(
          '\n',
        );
      },
    };
  },
});

interface Source {
  readonly head: { readonly seq: number; readonly hash: string };
  readonly entries: AsyncIterable<ChainEntry>;
}

const page = 5000;

async function fromClient(client: OperatorClient): Promise<Source> {
  const { decisionsAnswerSchema, paths } = await import('@osguard/attest/protocol');
  const ask = async (after: number) =>
    client.ask({ path: paths.decisions, query: { after, limit: page }, answer: decisionsAnswerSchema });
  const first = await ask(0);
  return {
    head: first.head,
    entries: pages(async (after) => (after === 0 ? first.decisions : (await ask(after)).decisions)),
  };
}

async function fromDatabase<T>(place: string, work: (source: Source) => Promise<T>): Promise<T> {
  const { openStore } = await import('@osguard/attest/service');
  const store = await openStore(place);
  try {
    const head = await store.decisions.head();
    return await work({
      head,
      entries: pages(async (after) => store.decisions.list({ after, limit: page })),
    });
  } finally {
    await store.close();
  }
}

async function* pages(read: (after: number) => Promise<readonly ChainEntry[]>): AsyncGenerator<ChainEntry> {
  let after = 0;
  for (;;) {
    const entries = await read(after);
    yield* entries;
    const last = entries.at(-1);
    if (last === undefined || entries.length < page) return;
    after = last.seq;
  }
}
