/** Secrets of a verifier: what trusted nodes may fetch. */

import { readFile } from 'node:fs/promises';
import type { SecretScopeAnswer } from '@osguard/attest/protocol';
import type { Command } from '../command.ts';
import { defineCommand, flag, list, needed, text } from '../command.ts';
import { formatBytes } from '../render/format.ts';
import { printable } from '../render/paint.ts';
import { UsageError } from '../report.ts';
import { asking, endpointOptions, findNode, timeText } from '../verifier.ts';

export const attestSecretsList: Command = defineCommand({
  options: endpointOptions,
  args: {},
  examples: [{ line: 'osguard attest secrets list', does: 'names and sizes, never what is in them' }],
  async run(values, context) {
    const { paths, secretsAnswerSchema: answer } = await import('@osguard/attest/protocol');
    const { secrets } = await asking(values, context, async (client) =>
      client.ask({ path: paths.secrets, answer }),
    );
    return {
      json: { secrets },
      async text(paint) {
        const { table } = await import('../render/table.ts');
        if (secrets.length === 0) return paint.dim('no secrets');
        const head = ['name', 'size', 'for', 'set', 'by'].map(paint.bold);
        return table(
          secrets.map((one) => [
            one.name,
            one.size === 0 ? 'certificate' : formatBytes(one.size),
            printable(scopeText(one.scope)),
            timeText(one.set),
            printable(one.by),
          ]),
          { head },
        );
      },
    };
  },
});

export const attestSecretsSet: Command = defineCommand({
  description: `Reads the secret from a file, or from standard input when the file is -: what stands on a command line, others on
the machine can read. Nodes get it with their next evidence.

Somebody has to say which trusted nodes it is for: --everyone, or --node and --label (one of them has to fit), or --release (what
the node runs), or both kinds, which then both have to fit. Setting a secret again sets this again.

With --certificate there is nothing to read: each node that fetches it gets a certificate for the key it speaks TLS with, which
ends when its verdict does. It names the node by urn:osguard:node:ID and leads to what the verifier shows at /v1/node-authority.`,
  options: {
    ...endpointOptions,
    everyone: flag('--everyone', 'for every trusted node'),
    nodes: list('--node <node>', 'for this node: its id, the beginning of it, or its name'),
    labels: list('--label <label>', 'for nodes with this label (osguard attest label)'),
    releases: list('--release <release>', 'for nodes that run it: its id, NAME or NAME@VERSION'),
    certificate: flag('--certificate', 'a certificate for the TLS key of each node, made when it fetches it'),
  },
  args: {
    name: needed('<name>', 'what nodes fetch it by'),
    file: text('[file]', 'its bytes; - for standard input'),
  },
  examples: [
    {
      line: 'osguard attest secrets set join-token token.txt --everyone',
      does: 'trusted nodes may join the cluster',
    },
    {
      line: 'osguard attest secrets set db-password password.txt --label db --release host@1.2',
      does: 'those with the label, as long as they run that release',
    },
    {
      line: 'osguard attest secrets set node.pem --certificate --everyone',
      does: 'trusted nodes can show others who they are',
    },
  ],
  async run(values, context) {
    const { secretPath, secretSetSchema: answer } = await import('@osguard/attest/protocol');
    const { file, certificate } = values;
    if ((file === undefined) !== certificate) throw new UsageError('give a file, or --certificate');
    const { everyone, nodes, labels, releases } = values;
    const limited = nodes.length + labels.length + releases.length > 0;
    if (everyone === limited) {
      throw new UsageError(
        limited ? '--everyone and limits contradict each other' : 'which nodes is it for?',
        'give --everyone, or --node, --label and --release',
      );
    }
    const body = file === undefined ? undefined : await readFile(file === '-' ? '/dev/stdin' : file);
    const set = await asking(values, context, async (client) => {
      const node: string[] = [];
      for (const one of nodes) node.push(await findNode(client, one));
      const query = {
        kind: certificate ? 'certificate' : 'bytes',
        everyone: everyone ? 'true' : undefined,
        node,
        label: labels,
        release: releases,
      };
      return client.ask({ method: 'PUT', path: secretPath(values.name), query, body, answer });
    });
    const what = certificate ? 'a certificate for each node' : formatBytes(set.size);
    return {
      json: set,
      text: (paint) => `${paint.green('set')} ${set.name} (${what}), for ${printable(scopeText(set.scope))}`,
    };
  },
});

export const attestSecretsRm: Command = defineCommand({
  options: endpointOptions,
  args: { name: needed('<name>', 'the secret') },
  examples: [{ line: 'osguard attest secrets rm join-token', does: 'no node gets it any more' }],
  async run(values, context) {
    const { secretPath, secretRemovedSchema: answer } = await import('@osguard/attest/protocol');
    const removed = await asking(values, context, async (client) =>
      client.ask({ method: 'DELETE', path: secretPath(values.name), answer }),
    );
    return { json: removed, text: (paint) => `${paint.green('removed')} ${removed.name}` };
  },
});

function scopeText(scope: SecretScopeAnswer): string {
  if (scope === 'everyone') return 'everyone';
  const nodes = [
    ...scope.nodes.map((id) => id.slice(0, 12)),
    ...scope.labels.map((label) => `label ${label}`),
  ];
  const releases = scope.releases.map((release) =>
    /^[0-9a-f]{64}$/.test(release) ? release.slice(0, 12) : release,
  );
  const parts = [nodes, releases].filter((part) => part.length > 0);
  return parts.map((part) => part.join(' or ')).join(', with ');
}
