/** Releases of a verifier: which nodes may run. */

import type { OperatorClient } from '@osguard/attest/client';
import type { ReleaseAnswer, ReleaseStateRequest } from '@osguard/attest/protocol';
import type { Command, Outcome } from '../command.ts';
import { defineCommand, flag, needed, text } from '../command.ts';
import type { Paint } from '../render/paint.ts';
import { printable } from '../render/paint.ts';
import { UsageError } from '../report.ts';
import { asking, endpointOptions, futureTime, timeText } from '../verifier.ts';

const releaseArgument = { release: needed('<release>', 'its id, the beginning of it, or NAME@VERSION') };

export const attestReleasesList: Command = defineCommand({
  options: endpointOptions,
  args: {},
  examples: [{ line: 'osguard attest releases list', does: 'what is allowed' }],
  async run(values, context) {
    const releases = await asking(values, context, listReleases);
    return {
      json: { releases },
      async text(paint) {
        const { table } = await import('../render/table.ts');
        if (releases.length === 0) return paint.dim('no releases: no node can be trusted');
        const head = ['id', 'release', 'state', 'from', 'until', 'changed'].map(paint.bold);
        const rows = releases.map((one) => [
          one.id.slice(0, 12),
          printable(`${one.name} ${one.version}`),
          stateText(one.state, paint),
          timeText(one.from),
          timeText(one.until),
          timeText(one.changed),
        ]);
        return table(rows, { head });
      },
    };
  },
});

export const attestReleasesAdd: Command = defineCommand({
  description: `Sends the signed manifest and the reference values of a release folder. The verifier checks the signature
itself. Nodes that run it are trusted once it is promoted.`,
  options: { ...endpointOptions, promote: flag('--promote', 'allow it at once') },
  args: { folder: needed('<folder>', 'release folder') },
  examples: [{ line: 'osguard attest releases add out --promote', does: 'the release just built may run' }],
  async run(values, context) {
    const { readReleaseFolder } = await import('@osguard/attest/service');
    const { paths, releaseAnswerSchema } = await import('@osguard/attest/protocol');
    const files = await readReleaseFolder(values.folder);
    const body = {
      manifest: Buffer.from(files.manifest).toString('base64'),
      referenceValues: Buffer.from(files.referenceValues).toString('base64'),
      state: values.promote ? 'promoted' : 'added',
    };
    const release = await asking(values, context, async (client) =>
      client.ask({ method: 'POST', path: paths.releases, body, answer: releaseAnswerSchema }),
    );
    return outcomeOf(release);
  },
});

export const attestReleasesPromote: Command = defineCommand({
  options: { ...endpointOptions, from: text('--from <time>', 'not before: 12h, or 2026-12-31T00:00:00Z') },
  args: releaseArgument,
  examples: [{ line: 'osguard attest releases promote host@1.2', does: 'nodes may run it' }],
  async run(values, context) {
    const from = values.from === undefined ? undefined : futureTime(values.from, Date.now());
    const request = { state: 'promoted', from } as const;
    return asking(values, context, async (client) => change(client, values.release, request));
  },
});

export const attestReleasesDeprecate: Command = defineCommand({
  description: 'Nodes that run it stay trusted until its grace is over.',
  options: {
    ...endpointOptions,
    until: needed('--until <time>', 'end of the grace: 30d, or 2026-12-31T00:00:00Z'),
  },
  args: releaseArgument,
  examples: [{ line: 'osguard attest releases deprecate host@1.1 --until 14d', does: 'two weeks to update' }],
  async run(values, context) {
    const request = { state: 'deprecated', until: futureTime(values.until, Date.now()) } as const;
    return asking(values, context, async (client) => change(client, values.release, request));
  },
});

export const attestReleasesRevoke: Command = defineCommand({
  description: 'No node that runs it is trusted from this moment on.',
  options: endpointOptions,
  args: releaseArgument,
  examples: [{ line: 'osguard attest releases revoke host@1.1', does: 'it has a hole' }],
  run: async (values, context) =>
    asking(values, context, async (client) => change(client, values.release, { state: 'revoked' })),
});

async function listReleases(client: OperatorClient): Promise<readonly ReleaseAnswer[]> {
  const { paths, releasesAnswerSchema: answer } = await import('@osguard/attest/protocol');
  return (await client.ask({ path: paths.releases, answer })).releases;
}

async function change(client: OperatorClient, wanted: string, body: ReleaseStateRequest): Promise<Outcome> {
  const { paths, releaseAnswerSchema } = await import('@osguard/attest/protocol');
  const found = (await listReleases(client)).filter(
    ({ id, name, version }) =>
      `${name}@${version}` === wanted || (/^[0-9a-f]{6,64}$/.test(wanted) && id.startsWith(wanted)),
  );
  const [only, another] = found;
  if (only === undefined || another !== undefined) {
    throw new UsageError(
      only === undefined ? `no release is called ${wanted}` : `several releases are called ${wanted}`,
      'osguard attest releases list',
    );
  }
  const path = `${paths.releases}/${only.id}/state`;
  return outcomeOf(await client.ask({ method: 'POST', path, body, answer: releaseAnswerSchema }));
}

function outcomeOf(release: ReleaseAnswer): Outcome {
  return {
    json: release,
    text(paint) {
      const until = release.until === null ? '' : ` until ${timeText(release.until)}`;
      const from = release.from === null ? '' : ` from ${timeText(release.from)}`;
      const what = printable(`${release.name} ${release.version}`);
      return `${what} (${release.id.slice(0, 12)}): ${stateText(release.state, paint)}${from}${until}`;
    },
  };
}

function stateText(state: ReleaseAnswer['state'], paint: Paint): string {
  if (state === 'promoted') return paint.green(state);
  return state === 'revoked' ? paint.red(state) : paint.yellow(state);
}
