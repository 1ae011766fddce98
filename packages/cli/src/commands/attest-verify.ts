import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OsguardError } from '@osguard/events';
import type { LoadedPolicy, ReferenceRelease, Verdict } from '@osguard/attest';
import type { Command } from '../command.ts';
import { defineCommand, list, needed, text } from '../command.ts';
import { renderDiagnostic } from '../render/diagnostic.ts';
import { plural } from '../render/format.ts';
import type { Paint } from '../render/paint.ts';
import { printable } from '../render/paint.ts';
import { UsageError } from '../report.ts';

export const attestVerify: Command = defineCommand({
  description: `Judges one evidence as the verifier does, without network and without a database: quote, logs, Secure Boot, release.
The same files give the same verdict at any time: --at says when it is judged.

The node record (JSON: node, ek, ak, akName, last) is what enrolment left; osguard attest nodes prints it. --nonce is the nonce
that was given for this evidence. Without it nobody knows whether the evidence is new, so the verdict is "refused". There is no
connection to compare the TLS key with: the check says so.`,
  options: {
    policy: needed('--policy <file>', 'whom and what to trust'),
    node: needed('--node <file>', 'what is known of the node: its keys, and what was seen last'),
    release: list(
      '--release <folder>',
      'also accept this release, when those whom the policy names signed it',
    ),
    nonce: text('--nonce <base64>', 'the nonce that was given for this evidence'),
    at: text('--at <time>', 'judge as of then, such as 2026-11-22T10:00:00Z; default: now'),
  },
  args: { evidence: needed('<evidence>', 'what the node sent (JSON)') },
  examples: [
    {
      line: 'osguard attest verify evidence.json --policy policy.yaml --node node.json --nonce 3q2+7w…',
      does: 'is this machine what it says it is?',
    },
  ],
  async run({ evidence: file, policy: policyFile, node: nodeFile, release: folders, nonce, at }) {
    const { loadPolicy, parseNodeRecord, verifyEvidence } = await import('@osguard/attest');
    const now = at === undefined ? Date.now() : timeOf(at);
    const loaded = await loadPolicy(policyFile);
    const { policy } = loaded;
    const node = await named(nodeFile, async () => parseNodeRecord(await readFile(nodeFile)));
    const releases = [...loaded.releases, ...(await openReleases(folders, loaded))];
    const given =
      nonce === undefined
        ? undefined
        : {
            nonce: nonceOf(nonce),
            node: node.node,
            purpose: 'evidence',
            issued: now,
            expires: now + policy.quote.maximumAge,
          };
    const verdict = verifyEvidence(await readFile(file), {
      node,
      nonce: given,
      channelKey: 'offline',
      policy,
      releases,
      now,
    });
    const { clock: _clock, pcrs, ...shown } = verdict;
    return {
      exitCode: verdict.verdict === 'trusted' ? 0 : 1,
      json: {
        ...shown,
        node: node.node,
        at: new Date(now).toISOString(),
        ...(pcrs !== undefined && { pcrs }),
      },
      text: (paint) => render(verdict, { file, loaded, paint }),
    };
  },
});

async function openReleases(
  folders: readonly string[],
  { policy, releases }: LoadedPolicy,
): Promise<readonly ReferenceRelease[]> {
  const { openReferenceRelease } = await import('@osguard/attest');
  const opened = await Promise.all(
    folders.map((folder) =>
      named(folder, async () =>
        openReferenceRelease(
          {
            manifest: await readFile(join(folder, 'release.json')),
            referenceValues: await readFile(join(folder, 'reference-values.json')),
          },
          { trust: policy.trust.release, state: 'promoted' },
        ),
      ),
    ),
  );
  // A release the policy names keeps the state it has there: --release must not bring a revoked one back.
  return opened.filter(({ id }) => !releases.some((release) => release.id === id));
}

/** Says which file an error of the library is about. */
async function named<T>(file: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof OsguardError)) throw error;
    throw new OsguardError(error.code, `${file}: ${error.message}`, {
      cause: error,
      ...(error.hint !== undefined && { hint: error.hint }),
    });
  }
}

function nonceOf(base64: string): Uint8Array {
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.length === 32 && bytes.toString('base64') === base64) return bytes;
  throw new UsageError('--nonce is 32 bytes in base64', 'as the verifier gave it to the node');
}

function timeOf(written: string): number {
  const time = Date.parse(written);
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,3})?Z$/.test(written) && !Number.isNaN(time)) return time;
  throw new UsageError(`--at is a time in UTC such as 2026-11-22T10:00:00Z, found ${written}`);
}

interface RenderOptions {
  readonly file: string;
  readonly loaded: LoadedPolicy;
  readonly paint: Paint;
}

function render({ verdict, checks, release }: Verdict, { file, loaded, paint }: RenderOptions): string {
  const width = Math.max(...checks.map(({ id }) => id.length));
  const lines = checks.map(({ id, ok, message, expected, found, where }) => {
    const head = `${ok ? paint.green('ok    ') : paint.red('FAILED')} ${id.padEnd(width)}  ${printable(message)}`;
    if (ok) return found === undefined ? head : `${head}: ${paint.dim(printable(found))}`;
    const indent = ' '.repeat(7 + width + 2);
    const details = [
      ...(where === undefined ? [] : [`${indent}where:    ${printable(where)}`]),
      ...(expected === undefined ? [] : [`${indent}expected: ${printable(expected)}`]),
      ...(found === undefined ? [] : [`${indent}found:    ${printable(found)}`]),
    ];
    return [head, ...details].join('\n');
  });
  const warnings = loaded.warnings.map((warning) =>
    renderDiagnostic(warning, { paint, source: loaded.text }),
  );
  const failed = checks.filter(({ ok }) => !ok).length;
  const name = release === undefined ? '' : ` ${printable(`${release.name} ${release.version}`)}`;
  const end =
    verdict === 'trusted'
      ? paint.green(paint.bold(`trusted:${name}, ${plural(checks.length, 'check')}`))
      : paint.red(paint.bold(`REFUSED: ${failed} of ${plural(checks.length, 'check')} failed`));
  return [...warnings, ...lines, `${printable(file)} ${end}`].join('\n');
}
