import type { NodeState } from '@osguard/attest/protocol';
import type { Command } from '../command.ts';
import { defineCommand, needed } from '../command.ts';
import { printable } from '../render/paint.ts';
import { asking, endpointOptions, findNode, releaseText, timeText, trustText } from '../verifier.ts';

export const attestNode: Command = defineCommand({
  description: 'The exit status is 0 when the node is trusted now, 1 when it is not.',
  options: endpointOptions,
  args: { node: needed('<node>', 'its id, the beginning of it, or its name') },
  examples: [{ line: 'osguard attest node worker-1', does: 'is it trusted, and if not, why' }],
  async run(values, context) {
    const { nodeDetailAnswerSchema, paths } = await import('@osguard/attest/protocol');
    const node = await asking(values, context, async (client) => {
      const id = await findNode(client, values.node);
      return client.ask({ path: `${paths.nodes}/${id}`, answer: nodeDetailAnswerSchema });
    });
    return {
      exitCode: node.trust === 'trusted' ? 0 : 1,
      json: node,
      async text(paint) {
        const { table } = await import('../render/table.ts');
        const rows = [
          ['node', node.id],
          ['name', printable(node.name)],
          ['trust', trustText(node.trust, paint) + stateText(node.state)],
          ['release', releaseText(node.release)],
          ['last verdict', timeText(node.at)],
          ['counts until', timeText(node.expires)],
          ['enrolled', `${timeText(node.enrolled)}, vouched for by ${printable(node.endorsement)}`],
          ['attestation key', node.akName],
          ['agent', printable(node.agent ?? '-')],
        ];
        if (node.labels.length > 0) rows.push(['labels', printable(node.labels.join(', '))]);
        if (node.reenrolUntil !== null) rows.push(['may enrol anew', `until ${timeText(node.reenrolUntil)}`]);
        const failed = node.checks
          .filter(({ ok }) => !ok)
          .flatMap(({ id, message, expected, found, where }) => [
            `${paint.red('FAILED')} ${printable(id)}: ${printable(message)}`,
            ...(where === undefined ? [] : [`         where:    ${printable(where)}`]),
            ...(expected === undefined ? [] : [`         expected: ${printable(expected)}`]),
            ...(found === undefined ? [] : [`         found:    ${printable(found)}`]),
          ]);
        return [table(rows), ...(failed.length > 0 ? ['', ...failed] : [])].join('\n');
      },
    };
  },
});

function stateText(state: NodeState): string {
  if (state === 'enrolled') return '';
  return state === 'suspended' ? ' by an operator' : ': nobody vouches for its endorsement key any more';
}
