/** What the commands of a verifier's operators share: where it is, and how its answers are shown. */

import type { OperatorClient } from '@osguard/attest/client';
import type { NodeAnswer, Trust } from '@osguard/attest/protocol';
import type { CommandContext, Parameter } from './command.ts';
import { text, textOr } from './command.ts';
import type { Paint } from './render/paint.ts';
import { printable } from './render/paint.ts';
import { UsageError } from './report.ts';

interface EndpointParameters {
  readonly [name: string]: Parameter<string> | Parameter<string | undefined>;
  readonly dir: Parameter<string>;
  readonly url: Parameter<string | undefined>;
  readonly ca: Parameter<string | undefined>;
  readonly tokenFile: Parameter<string | undefined>;
}

export const endpointOptions: EndpointParameters = {
  dir: textOr('--dir <folder>', 'state folder of a verifier on this machine', 'verifier'),
  url: text('--url <address>', 'https address of a verifier elsewhere'),
  ca: text('--ca <file>', 'certificate of its role verifier (PEM)'),
  tokenFile: text('--token-file <file>', 'token; or give it as OSGUARD_TOKEN'),
};

export interface EndpointValues {
  readonly dir: string;
  readonly url: string | undefined;
  readonly ca: string | undefined;
  readonly tokenFile: string | undefined;
}

/** Asks the verifier the options name. */
export async function asking<T>(
  values: EndpointValues,
  { io, signal }: Pick<CommandContext, 'io' | 'signal'>,
  work: (client: OperatorClient) => Promise<T>,
): Promise<T> {
  const { findEndpoint, openOperatorClient } = await import('@osguard/attest/client');
  const { dir: folder, url, ca, tokenFile } = values;
  const token = tokenFile === undefined ? io.env['OSGUARD_TOKEN'] : undefined;
  const endpoint = await findEndpoint({ folder, url, ca, tokenFile, token });
  using client = openOperatorClient(endpoint, { signal });
  return await work(client);
}

/** A node by its id, the beginning of it, or its name. */
export async function findNode(client: OperatorClient, wanted: string): Promise<string> {
  if (/^[0-9a-f]{64}$/.test(wanted)) return wanted;
  const { nodesAnswerSchema, paths } = await import('@osguard/attest/protocol');
  const ask = async (query: Readonly<Record<string, string | number>>): Promise<readonly NodeAnswer[]> =>
    (await client.ask({ path: paths.nodes, query, answer: nodesAnswerSchema })).nodes;
  const start = /^[0-9a-f]{6,63}$/.test(wanted) ? wanted : undefined;
  // The ids that begin with it follow the greatest one before.
  const before = start === undefined ? undefined : predecessor(start);
  const byId =
    start === undefined
      ? []
      : (await ask({ ...(before !== undefined && { after: before }), limit: 2 })).filter(({ id }) =>
          id.startsWith(start),
        );
  const found = byId.length > 0 ? byId : await ask({ name: wanted, limit: 2 });
  const [only, another] = found;
  if (only !== undefined && another === undefined) return only.id;
  throw new UsageError(
    only === undefined ? `no node is called ${wanted}` : `several nodes are called ${wanted}`,
    only === undefined ? 'osguard attest nodes' : 'give more of its id: osguard attest nodes',
  );
}

function predecessor(start: string): string | undefined {
  const value = BigInt(`0x${start.padEnd(64, '0')}`);
  return value === 0n ? undefined : (value - 1n).toString(16).padStart(64, '0');
}

const trustWords: Readonly<Record<Trust, string>> = {
  trusted: 'trusted',
  new: 'no evidence yet',
  refused: 'REFUSED',
  expired: 'verdict too old',
  release: 'release not allowed',
  suspended: 'suspended',
};

export function trustText(trust: Trust, paint: Paint): string {
  const words = trustWords[trust];
  if (trust === 'trusted') return paint.green(words);
  return trust === 'new' ? paint.yellow(words) : paint.red(words);
}

export function releaseText(release: NodeAnswer['release']): string {
  if (release === null) return '-';
  return release.name === '' ? release.id.slice(0, 12) : printable(`${release.name} ${release.version}`);
}

/** `2026-11-22 10:00:00Z` */
export function timeText(time: string | null): string {
  return time === null ? '-' : time.replace('T', ' ').replace(/\.\d+Z$/, 'Z');
}

/** `90s`, `5m`, `12h` or `30d` from now, or a time. ISO 8601. */
export function futureTime(input: string, now: number): string {
  const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(input) ?? [];
  const factor = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit ?? ''];
  if (count !== undefined && factor !== undefined)
    return new Date(now + Number(count) * factor).toISOString();
  const at = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(input) ? Date.parse(input) : Number.NaN;
  if (Number.isNaN(at))
    throw new UsageError(`${input}: expected a duration such as 30d, or 2026-12-31T00:00:00Z`);
  return new Date(at).toISOString();
}
