/** Operators' tokens. */

import type { Command } from '../command.ts';
import { defineCommand, flag, needed, neededChoice, text } from '../command.ts';
import { printable } from '../render/paint.ts';
import { asking, endpointOptions, futureTime, timeText } from '../verifier.ts';

export const attestTokenCreate: Command = defineCommand({
  description: `A viewer reads, an operator also approves nodes and moves releases, an admin also sets secrets and makes tokens. The
token is printed once; the verifier keeps only its hash. With --local it is written into the database itself, without asking a
verifier: for whoever may read the state folder and has lost every token.`,
  options: {
    ...endpointOptions,
    name: needed('--name <name>', 'who or what it is for'),
    role: neededChoice('--role <role>', 'what it may do', ['viewer', 'operator', 'admin']),
    expires: text('--expires <time>', 'when it ends: 90d, or 2026-12-31T00:00:00Z'),
    local: flag('--local', 'write it into the database of the state folder'),
    store: text('--store <place>', 'with --local: the database, when it is not in the state folder'),
  },
  args: {},
  examples: [
    {
      line: 'osguard attest token create --name pipeline --role operator --expires 90d',
      does: 'for promoting releases',
    },
  ],
  async run(values, context) {
    const now = Date.now();
    const { name, role } = values;
    const expires = values.expires === undefined ? undefined : futureTime(values.expires, now);
    if (values.local) {
      const { createToken, openState, openStore } = await import('@osguard/attest/service');
      const state = await openState(values.dir);
      const store = await openStore(values.store ?? state.database);
      try {
        const end = expires === undefined ? null : Date.parse(expires);
        const made = await createToken(store, { name, role, now, expires: end, actor: 'local' });
        return { json: { token: made.token, id: made.summary.id, name, role }, text: () => made.token };
      } finally {
        await store.close();
      }
    }
    const { paths, tokenMadeSchema: answer } = await import('@osguard/attest/protocol');
    const { token, info } = await asking(values, context, async (client) =>
      client.ask({ method: 'POST', path: paths.tokens, body: { name, role, expires }, answer }),
    );
    return { json: { token, id: info.id, name, role }, text: () => token };
  },
});

export const attestTokenList: Command = defineCommand({
  options: endpointOptions,
  args: {},
  examples: [{ line: 'osguard attest token list', does: 'who has access' }],
  async run(values, context) {
    const { paths, tokensAnswerSchema: answer } = await import('@osguard/attest/protocol');
    const { tokens } = await asking(values, context, async (client) =>
      client.ask({ path: paths.tokens, answer }),
    );
    return {
      json: { tokens },
      async text(paint) {
        const { table } = await import('../render/table.ts');
        const head = ['id', 'name', 'role', 'made', 'until'].map(paint.bold);
        return table(
          tokens.map((one) => [
            one.id,
            printable(one.name),
            one.role,
            timeText(one.created),
            timeText(one.expires),
          ]),
          { head },
        );
      },
    };
  },
});

export const attestTokenRm: Command = defineCommand({
  options: endpointOptions,
  args: { id: needed('<id>', 'of the token, as osguard attest token list shows it') },
  examples: [{ line: 'osguard attest token rm 0123456789ab', does: 'it opens nothing any more' }],
  async run(values, context) {
    const { paths, removedSchema: answer } = await import('@osguard/attest/protocol');
    const removed = await asking(values, context, async (client) =>
      client.ask({ method: 'DELETE', path: `${paths.tokens}/${encodeURIComponent(values.id)}`, answer }),
    );
    return { json: removed, text: (paint) => `${paint.green('removed')} ${removed.id}` };
  },
});
