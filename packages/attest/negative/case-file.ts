/**
 * The published form of a case. `good.json` is whole; a case holds its document whole and of the context only the members
 * that differ from `good.json`. README.md says what each member means.
 */

import { parseCertificate } from '@osguard/formats/x509';
import type { Certificate } from '@osguard/formats/x509';
import type { CheckId } from '../src/verify/ids.ts';
import type { LastSeen, NodeRecord, NonceRecord, VerifyContext } from '../src/verify/types.ts';
import type { Policy, ReleaseState } from '../src/policy/types.ts';
import { openReferenceRelease } from '../src/release/open.ts';
import type { Settled } from './model/baseline.ts';

export const caseSchemaName = 'osguard/negative/v1';

export interface CaseFile {
  readonly schema: typeof caseSchemaName;
  readonly name: string;
  /** What is claimed falsely; of `good.json` nothing. */
  readonly lie: string;
  /** The first check that must fail; null: the verdict is `trusted`. */
  readonly check: CheckId | null;
  /** The evidence as JSON, or as text when it is none. */
  readonly document: unknown;
  /** That many spaces go before the last brace of the document. */
  readonly spaces?: number;
  readonly context: Partial<CaseContext>;
}

/** Bytes are base64, times ISO 8601, 64-bit numbers decimal text. */
export interface CaseContext {
  readonly now: string;
  readonly node:
    | null
    | (Omit<NodeRecord, 'ek' | 'ak' | 'last'> & {
        readonly ek: string;
        readonly ak: string;
        readonly last?: Omit<LastSeen, 'clock'> & { readonly clock: string };
      });
  readonly nonce: null | {
    readonly nonce: string;
    readonly node: string;
    readonly purpose: string;
    readonly issued: string;
    readonly expires: string;
    readonly used?: string;
  };
  readonly channelKey: string;
  readonly policy: Omit<Policy, 'trust' | 'releases' | 'verdict'> & {
    readonly trust: { readonly release: readonly string[] };
  };
  readonly releases: readonly {
    readonly manifest: string;
    readonly referenceValues: string;
    readonly state: ReleaseState;
    readonly from?: string;
    readonly until?: string;
  }[];
}

export function writeContext({ context, releases }: Pick<Settled, 'context' | 'releases'>): CaseContext {
  const { node, nonce, channelKey, policy, now } = context;
  return {
    now: iso(now),
    node: node === undefined ? null : writeNode(node),
    nonce: nonce === undefined ? null : writeNonce(nonce),
    channelKey: channelKey === 'offline' ? 'offline' : base64(channelKey),
    policy: writePolicy(policy),
    releases: releases.map(({ manifest, referenceValues, state, from, until }) => ({
      manifest: base64(manifest),
      referenceValues: base64(referenceValues),
      state,
      ...(from !== undefined && { from: iso(from) }),
      ...(until !== undefined && { until: iso(until) }),
    })),
  };
}

function writeNode({ ek, ak, last, ...rest }: NodeRecord): NonNullable<CaseContext['node']> {
  return {
    ...rest,
    ek: base64(ek),
    ak: base64(ak),
    ...(last !== undefined && { last: { ...last, clock: last.clock.toString() } }),
  };
}

function writeNonce({
  nonce,
  node,
  purpose,
  issued,
  expires,
  used,
}: NonceRecord): NonNullable<CaseContext['nonce']> {
  return {
    nonce: base64(nonce),
    node,
    purpose,
    issued: iso(issued),
    expires: iso(expires),
    ...(used !== undefined && { used: iso(used) }),
  };
}

function writePolicy({
  trust,
  releases: _releases,
  verdict: _verdict,
  ...rest
}: Policy): CaseContext['policy'] {
  return { ...rest, trust: { release: trust.release.map(({ der }) => base64(der)) } };
}

/** What the verifier is given in this case. */
export function readCase(
  file: CaseFile,
  good: CaseFile,
): { readonly bytes: Uint8Array; readonly context: VerifyContext } {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the files beside this one, whole together
  const whole = { ...good.context, ...file.context } as CaseContext;
  const { node, nonce, policy } = whole;
  const release = policy.trust.release.map((der) => parseCertificate(bytes(der)));
  return {
    bytes: Buffer.from(textOf(file), 'utf8'),
    context: {
      now: Date.parse(whole.now),
      node: node === null ? undefined : readNode(node),
      nonce: nonce === null ? undefined : readNonce(nonce),
      channelKey: whole.channelKey === 'offline' ? 'offline' : bytes(whole.channelKey),
      policy: readPolicy(policy, release),
      releases: whole.releases.map(({ manifest, referenceValues, state, from, until }) =>
        openReferenceRelease(
          { manifest: bytes(manifest), referenceValues: bytes(referenceValues) },
          {
            trust: release,
            state,
            from: from === undefined ? undefined : Date.parse(from),
            until: until === undefined ? undefined : Date.parse(until),
          },
        ),
      ),
    },
  };
}

function textOf({ document, spaces }: CaseFile): string {
  const text = typeof document === 'string' ? document : JSON.stringify(document);
  return spaces === undefined ? text : `${text.slice(0, -1)}${' '.repeat(spaces)}}`;
}

function readNode({ ek, ak, last, ...rest }: NonNullable<CaseContext['node']>): NodeRecord {
  return {
    ...rest,
    ek: bytes(ek),
    ak: bytes(ak),
    ...(last !== undefined && { last: { ...last, clock: BigInt(last.clock) } }),
  };
}

function readNonce({
  nonce,
  issued,
  expires,
  used,
  ...rest
}: NonNullable<CaseContext['nonce']>): NonceRecord {
  return {
    ...rest,
    nonce: bytes(nonce),
    issued: Date.parse(issued),
    expires: Date.parse(expires),
    ...(used !== undefined && { used: Date.parse(used) }),
  };
}

function readPolicy(policy: CaseContext['policy'], release: readonly Certificate[]): Policy {
  const endorsement = {
    endorsementRoots: [],
    endorsementIntermediates: [],
    endorsementKeys: new Set<string>(),
    revocation: { lists: [], required: false, grace: 0 },
  };
  // How long a verdict counts is not judged here.
  const verdict = { lifetime: policy.token.lifetime };
  return { ...policy, verdict, trust: { ...endorsement, release }, releases: [] };
}

function base64(data: Uint8Array): string {
  return Buffer.from(data).toString('base64');
}

function bytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'));
}

function iso(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
