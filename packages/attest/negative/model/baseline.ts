/**
 * The good evidence every case starts from: a plan one can change in any one place, and what it becomes. Whatever is not
 * changed stays consistent: PCR values follow from the logs, the quote from the values, the signature from the quote.
 */

import { toHex } from '@osguard/formats/bytes';
import { parseEventLog } from '@osguard/formats/eventlog';
import { publicAreaName } from '@osguard/formats/tpm2';
import type { ClockInfo, PcrSelection, TpmPublic } from '@osguard/formats/tpm2';
import { encodeUserspaceLog } from '@osguard/formats/userspace-log';
import type { EncodableRecord } from '@osguard/formats/userspace-log';
import type { Evidence } from '../../src/evidence/types.ts';
import { settle } from '../../src/policy/load.ts';
import { parsePolicy } from '../../src/policy/parse.ts';
import type { Policy } from '../../src/policy/types.ts';
import { evidenceQualifyingData } from '../../src/protocol/index.ts';
import { openReferenceRelease } from '../../src/release/open.ts';
import type { ReferenceRelease } from '../../src/release/types.ts';
import { replayLogs } from '../../src/verify/replay.ts';
import type { NodeRecord, NonceRecord, VerifyContext } from '../../src/verify/types.ts';
import { certificates, goodBoot, goodRecords, release, revokedImage } from './boot.ts';
import type { ReleaseSpec, SignedRelease } from './boot.ts';
import { spki } from './keys.ts';
import type { KeyName } from './keys.ts';
import { bootLog, encodeLog, sha256 } from './log.ts';
import type { ModelEvent } from './log.ts';
import {
  attestationKeyArea,
  encodePublicArea,
  encodeTpmSignature,
  endorsementKeyArea,
  makeQuote,
  signQuote,
} from './tpm.ts';

export const now: number = Date.parse('2026-11-22T10:00:00Z');
const minute = 60_000;
export const quotedPcrs: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15];

export const node: string = toHex(sha256(encodePublicArea(endorsementKeyArea('endorsementKey'))));

export const policyText: string = `schema: osguard/attest-policy/v1
name: negative-suite
trust:
  release: [release.crt]
releases:
  - {folder: "1.1", state: promoted}
firmware:
  dbx: ["${revokedImage}"]
`;

export function goodPolicy(): Policy {
  const { written } = parsePolicy(policyText);
  return settle(written, { endorsementRoots: [], intermediates: [], signers: [certificates.release] });
}

/** One consistent story; a case changes one thing in it. */
export interface Plan {
  readonly events: readonly ModelEvent[];
  readonly records: readonly EncodableRecord[];
  readonly commandLine: string;
  /** Who signs, and the public area under which he is known. */
  readonly signer: KeyName;
  readonly ak: TpmPublic;
  /** The public area the quote names; the enrolled one unless told otherwise. */
  readonly quotedAk: TpmPublic | undefined;
  /** The parent of the key the quote names; owner unless told otherwise. */
  readonly hierarchy: number | undefined;
  readonly nonce: Uint8Array;
  readonly tlsKey: KeyName;
  readonly selections: readonly PcrSelection[];
  readonly clockInfo: ClockInfo;
  readonly node: Partial<NodeRecord>;
  readonly nonceRecord: Partial<NonceRecord>;
  readonly releases: readonly ReleaseSpec[];
  readonly policy: (policy: Policy) => Policy;
  readonly context: (context: VerifyContext) => VerifyContext;
  /** Before it goes into the quote. */
  readonly extraData: (expected: Uint8Array) => Uint8Array;
  /** Before it is signed. */
  readonly quote: (quote: Uint8Array) => Uint8Array;
  readonly signature: (signature: Uint8Array) => Uint8Array;
  /** After everything was signed. */
  readonly evidence: (evidence: Evidence) => Evidence;
  /** The bytes that are sent. */
  readonly document: ((bytes: Uint8Array) => Uint8Array) | undefined;
}

function same<T>(value: T): T {
  return value;
}

export function goodPlan(): Plan {
  return {
    events: bootLog(goodBoot),
    records: goodRecords,
    commandLine: goodBoot.commandLine,
    signer: 'attestationKey',
    ak: attestationKeyArea('attestationKey'),
    quotedAk: undefined,
    hierarchy: undefined,
    nonce: sha256('a nonce of the suite'),
    tlsKey: 'tls',
    selections: [{ bank: 'sha256', pcrs: quotedPcrs }],
    clockInfo: { clock: 7_200_000n, resetCount: 0xffff_fffe, restartCount: 0, safe: true },
    node: {},
    nonceRecord: {},
    releases: [{ version: '1.1', boot: goodBoot }],
    policy: same,
    context: same,
    extraData: same,
    quote: same,
    signature: same,
    evidence: same,
    document: undefined,
  };
}

export interface Settled {
  readonly evidence: Evidence;
  readonly context: VerifyContext;
  readonly releases: readonly (SignedRelease & Pick<ReferenceRelease, 'state' | 'from' | 'until'>)[];
}

/** The evidence and the context the plan describes. */
export function settlePlan(plan: Plan): Settled {
  const firmwareLog = encodeLog(plan.events);
  const records = plan.records.map((record, index) => ({ ...record, index, offset: 0 }));
  const all = new Map(replayLogs(parseEventLog(firmwareLog), records).map((value, pcr) => [pcr, value]));
  const chosen = new Set(plan.selections.filter(({ bank }) => bank === 'sha256').flatMap(({ pcrs }) => pcrs));
  const tlsKey = spki(plan.tlsKey);
  const quote = plan.quote(
    makeQuote({
      area: plan.quotedAk ?? plan.ak,
      selections: plan.selections,
      values: all,
      extraData: plan.extraData(evidenceQualifyingData({ nonce: plan.nonce, tlsKey })),
      clockInfo: plan.clockInfo,
      ...(plan.hierarchy !== undefined && { hierarchy: plan.hierarchy }),
    }),
  );
  const evidence = plan.evidence({
    node,
    nonce: plan.nonce,
    quote,
    signature: plan.signature(encodeTpmSignature(signQuote(quote, plan.signer))),
    pcrs: new Map([...all].filter(([pcr]) => chosen.has(pcr))),
    firmwareLog,
    userspaceLog: Buffer.from(encodeUserspaceLog(plan.records)).toString('utf8'),
    tlsKey,
    commandLine: plan.commandLine,
    agent: { version: '0.1.0' },
  });
  return { evidence, ...contextOf(plan, tlsKey) };
}

function contextOf(plan: Plan, channelKey: Uint8Array): Pick<Settled, 'context' | 'releases'> {
  const policy = plan.policy(goodPolicy());
  const releases = plan.releases.map((spec) => ({
    ...release(spec),
    state: spec.state ?? ('promoted' as const),
    from: spec.from,
    until: spec.until,
  }));
  const context = plan.context({
    node: {
      node,
      ek: encodePublicArea(endorsementKeyArea('endorsementKey')),
      ak: encodePublicArea(plan.ak),
      akName: toHex(publicAreaName(plan.ak)),
      state: 'enrolled',
      last: { clock: 3_600_000n, resetCount: 0xffff_fffe, restartCount: 0, version: '1.0' },
      ...plan.node,
    },
    nonce: {
      nonce: plan.nonce,
      node,
      purpose: 'evidence',
      issued: now - minute,
      expires: now + 4 * minute,
      ...plan.nonceRecord,
    },
    channelKey,
    policy,
    releases: releases.map(({ manifest, referenceValues, ...state }) =>
      openReferenceRelease({ manifest, referenceValues }, { trust: policy.trust.release, ...state }),
    ),
    now,
  });
  return { context, releases };
}
