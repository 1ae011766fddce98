/**
 * What the checks look at, parsed when the first of them asks and kept for the others. A part that is missing or cannot
 * be parsed throws to everyone who asks, so that a check can never hold because its input was not there.
 */

import { FormatError } from '@osguard/formats/bytes';
import { parseEventLog } from '@osguard/formats/eventlog';
import type { EventLog } from '@osguard/formats/eventlog';
import { parseAttest, parsePublicArea, parseTpmSignature } from '@osguard/formats/tpm2';
import type { QuoteAttest, TpmPublic, TpmSignature } from '@osguard/formats/tpm2';
import { parseUserspaceLog } from '@osguard/formats/userspace-log';
import type { UserspaceRecord } from '@osguard/formats/userspace-log';
import type { Evidence } from '../evidence/types.ts';
import { Missing } from './check.ts';
import { matchRelease } from './match.ts';
import { readSecureBoot } from './secure-boot-variables.ts';
import type { SecureBootState } from './secure-boot-variables.ts';
import type { ReleaseMatch } from './match.ts';
import type { NodeRecord, NonceRecord, VerifyContext } from './types.ts';

export interface Material {
  readonly context: VerifyContext;
  readonly evidence: Evidence;
  readonly node: NodeRecord;
  readonly nonce: NonceRecord;
  readonly ak: TpmPublic;
  readonly signature: TpmSignature;
  readonly quote: QuoteAttest;
  /** Indices of the SHA-256 bank that the quote covers, ascending. */
  readonly selected: readonly number[];
  readonly log: EventLog;
  readonly records: readonly UserspaceRecord[];
  /** Every allowed or known release against the signed PCR values, the best first. */
  readonly match: ReleaseMatch;
  readonly secureBoot: SecureBootState;
}

/** @param evidence undefined when it could not be parsed. */
export function gather(evidence: Evidence | undefined, context: VerifyContext): Material {
  const given = (): Evidence => present(evidence, 'there is no evidence to look at');
  const node = (): NodeRecord => present(context.node, 'the node is not known');
  const ak = once('the attestation key cannot be read', () => parsePublicArea(node().ak));
  const signature = once('the signature cannot be read', () => parseTpmSignature(given().signature));
  const quote = once('the quote cannot be read', () => {
    const attest = parseAttest(given().quote);
    if (attest.type !== 'quote')
      throw new FormatError('unsupported', `an attestation of type ${attest.type}`);
    return attest;
  });
  const selected = once('the quote cannot be read', () =>
    quote()
      .pcrSelections.filter(({ bank }) => bank === 'sha256')
      .flatMap(({ pcrs }) => pcrs)
      .toSorted((a, b) => a - b),
  );
  const log = once('the firmware log cannot be read', () => parseEventLog(given().firmwareLog));
  const records = once('the userspace log cannot be read', () =>
    parseUserspaceLog(Buffer.from(given().userspaceLog, 'utf8')),
  );
  const match = once('no release is known', () =>
    present(matchRelease(given().pcrs, context), 'no release is known'),
  );
  const secureBoot = once('what firmware measured of Secure Boot cannot be read', () =>
    readSecureBoot(log()),
  );
  return {
    context,
    get evidence() {
      return given();
    },
    get node() {
      return node();
    },
    get nonce() {
      return present(context.nonce, 'the nonce is not known');
    },
    get ak() {
      return ak();
    },
    get signature() {
      return signature();
    },
    get quote() {
      return quote();
    },
    get selected() {
      return selected();
    },
    get log() {
      return log();
    },
    get records() {
      return records();
    },
    get secureBoot() {
      return secureBoot();
    },
    get match() {
      return match();
    },
  };
}

function present<T>(value: T | undefined, otherwise: string): T {
  if (value === undefined) throw new Missing(otherwise);
  return value;
}

/** The first to ask sees why it cannot be read, everyone after that it cannot. */
export function once<T>(otherwise: string, make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  let failure: string | undefined;
  return () => {
    if (made !== undefined) return made.value;
    if (failure !== undefined) throw new Missing(failure);
    try {
      made = { value: make() };
      return made.value;
    } catch (error) {
      failure = error instanceof Missing ? error.message : otherwise;
      throw error;
    }
  };
}
