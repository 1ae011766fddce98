/** What operators do to a node: one request, one line. */

import type { Command } from '../command.ts';
import { defineCommand, list, needed } from '../command.ts';
import { asking, endpointOptions, findNode } from '../verifier.ts';

interface Action {
  readonly description: string;
  readonly method: 'POST' | 'DELETE';
  /** After the node's address. */
  readonly path: string;
  readonly done: string;
  readonly example: string;
  /** The node need not be known yet, so only a whole id names it. */
  readonly unknown?: boolean;
}

function action({ description, method, path, done, example, unknown = false }: Action): Command {
  return defineCommand({
    description,
    options: endpointOptions,
    args: { node: needed('<node>', unknown ? 'its id' : 'its id, the beginning of it, or its name') },
    examples: [{ line: example, does: done }],
    async run(values, context) {
      const { nodeDoneSchema: answer, paths } = await import('@osguard/attest/protocol');
      const node = await asking(values, context, async (client) => {
        const id = unknown ? values.node : await findNode(client, values.node);
        return (await client.ask({ method, path: `${paths.nodes}/${encodeURIComponent(id)}${path}`, answer }))
          .node;
      });
      return { json: { node, done }, text: (paint) => `${paint.green(done)}: ${node}` };
    },
  });
}

export const attestApprove: Command = action({
  description: `For machines whose TPM has no endorsement certificate, or one nobody here trusts: this very TPM may enrol from now
on. Compare the id with what the machine itself says (its console, or osguard-node status).`,
  method: 'POST',
  path: '/approval',
  done: 'approved',
  example: 'osguard attest approve 3f9c…',
  unknown: true,
});

export const attestReenroll: Command = action({
  description: `After TPM2_Clear a machine has another attestation key and is refused. This lets it enrol once more with the same
TPM, within a day; what was known of it under the old key is forgotten then.`,
  method: 'POST',
  path: '/reenrolment',
  done: 'may enrol anew',
  example: 'osguard attest reenroll worker-1',
});

export const attestSuspend: Command = action({
  description: 'Its evidence is refused until osguard attest resume, whatever it proves.',
  method: 'POST',
  path: '/suspension',
  done: 'suspended',
  example: 'osguard attest suspend worker-1',
});

export const attestResume: Command = action({
  description: 'The node counts again as its last evidence says.',
  method: 'POST',
  path: '/resumption',
  done: 'resumed',
  example: 'osguard attest resume worker-1',
});

export const attestForget: Command = action({
  description: 'The node and its approval are forgotten; what was decided about it stays in the log.',
  method: 'DELETE',
  path: '',
  done: 'forgotten',
  example: 'osguard attest forget worker-1',
});

export const attestLabel: Command = defineCommand({
  description: `Labels say which secrets a node may get (osguard attest secrets set --label). Those given here take the place of those
it had; without any it has none.`,
  options: { ...endpointOptions, labels: list('--label <label>', 'a word, such as what the machine is for') },
  args: { node: needed('<node>', 'its id, the beginning of it, or its name') },
  examples: [{ line: 'osguard attest label worker-1 --label db', does: 'it gets the secrets of databases' }],
  async run({ labels, ...values }, context) {
    const { nodeLabelsSchema: answer, paths } = await import('@osguard/attest/protocol');
    const done = await asking(values, context, async (client) => {
      const path = `${paths.nodes}/${await findNode(client, values.node)}/labels`;
      return client.ask({ method: 'PUT', path, body: { labels }, answer });
    });
    const now = done.labels.length === 0 ? 'no label' : done.labels.join(', ');
    return { json: done, text: (paint) => `${paint.green('labelled')}: ${done.node} (${now})` };
  },
});
