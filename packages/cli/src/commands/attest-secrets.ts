/** Secrets of a verifier: what trusted nodes may fetch. */

import { readFile } from 'node:fs/promises';
import type { Command } from '../command.ts';
import { defineCommand, needed } from '../command.ts';
import { formatBytes } from '../render/format.ts';
import { printable } from '../render/paint.ts';
import { asking, endpointOptions, timeText } from '../verifier.ts';

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
        const head = ['name', 'size', 'set', 'by'].map(paint.bold);
        return table(
          secrets.map((one) => [one.name, formatBytes(one.size), timeText(one.set), printable(one.by)]),
          { head },
        );
      },
    };
  },
});

export const attestSecretsSet: Command = defineCommand({
  description: `Reads the secret from a file, or from standard input when the file is -: what stands on a command line, others on
the machine can read. Nodes get it with their next evidence.`,
  options: endpointOptions,
  args: {
    name: needed('<name>', 'what nodes fetch it by'),
    file: needed('<file>', 'its bytes; - for standard input'),
  },
  examples: [
    { line: 'osguard attest secrets set join-token token.txt', does: 'trusted nodes may join the cluster' },
  ],
  async run(values, context) {
    const { secretPath, secretSetSchema: answer } = await import('@osguard/attest/protocol');
    const body = values.file === '-' ? await readFile('/dev/stdin') : await readFile(values.file);
    const set = await asking(values, context, async (client) =>
      client.ask({ method: 'PUT', path: secretPath(values.name), body, answer }),
    );
    return { json: set, text: (paint) => `${paint.green('set')} ${set.name} (${formatBytes(set.size)})` };
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
