import type { NodeAnswer, Trust } from '@osguard/attest/protocol';
import type { Command } from '../command.ts';
import { choice, defineCommand, integerOr, text } from '../command.ts';
import { plural } from '../render/format.ts';
import { printable } from '../render/paint.ts';
import { asking, endpointOptions, releaseText, timeText, trustText } from '../verifier.ts';

const states: readonly Trust[] = ['trusted', 'new', 'refused', 'expired', 'release', 'suspended'];

export const attestNodes: Command = defineCommand({
  options: {
    ...endpointOptions,
    trust: choice('--trust <state>', 'only nodes in this state', states),
    release: text('--release <id>', 'only nodes whose last evidence was for this release'),
    name: text('--name <name>', 'only nodes of this name'),
    after: text('--after <id>', 'only nodes whose ids follow this one'),
    limit: integerOr('--limit <number>', 'how many at most', { min: 1, max: 1_000_000, fallback: 1000 }),
  },
  args: {},
  examples: [
    { line: 'osguard attest nodes', does: 'every node, and whether it is trusted now' },
    { line: 'osguard attest nodes --trust refused', does: 'those that need somebody to look' },
  ],
  async run(values, context) {
    const { nodesAnswerSchema, paths } = await import('@osguard/attest/protocol');
    const { nodes, next } = await asking(values, context, async (client) => {
      const { trust, release, name, limit } = values;
      const found: NodeAnswer[] = [];
      let { after } = values;
      while (found.length < limit) {
        const query = { trust, release, name, after, limit: Math.min(1000, limit - found.length) };
        const page = await client.ask({ path: paths.nodes, query, answer: nodesAnswerSchema });
        found.push(...page.nodes);
        if (page.next === null) return { nodes: found, next: null };
        after = page.next;
      }
      return { nodes: found, next: after ?? null };
    });
    return {
      json: { nodes, next },
      async text(paint) {
        const { table } = await import('../render/table.ts');
        const filtered = [values.trust, values.release, values.name, values.after].some(
          (one) => one !== undefined,
        );
        if (nodes.length === 0) {
          return paint.dim(
            filtered ? 'no such nodes' : 'no nodes; who waits to be let in: osguard attest applicants',
          );
        }
        const rows = nodes.map((node) => [
          node.id.slice(0, 12),
          printable(node.name),
          trustText(node.trust, paint),
          releaseText(node.release),
          timeText(node.at),
          node.reason === null ? '' : printable(node.reason),
        ]);
        const head = ['node', 'name', 'trust', 'release', 'last verdict', 'reason'].map(paint.bold);
        const byTrust = Object.entries(Object.groupBy(nodes, ({ trust }) => trust));
        const counts = byTrust.map(([trust, some]) => `${some?.length} ${trust}`).join(', ');
        const more =
          next === null ? '' : `; there are more: --limit ${values.limit * 10}, or --after ${next}`;
        return `${table(rows, { head })}\n${paint.dim(`${plural(nodes.length, 'node')}: ${counts}${more}`)}`;
      },
    };
  },
});
