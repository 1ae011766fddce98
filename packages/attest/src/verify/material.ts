/**
 * What the checks look at, parsed when the first of them asks and kept for the others. A part that is missing or cannot
 * be parsed throws to everyone who asks, so that a check can never hold because its input was not there.
 */

import { FormatError } from '@osguard/formats/bytes';
import { parseEventLog } from '@osguard/formats/eventlog';
import type { EventLog } from '@osguard/formats/eventlog';
import { parseAttest, parseTpmSignature } from '@osguard/formats/tpm2';
import type { QuoteAttest, TpmSignature } from '@osguard/formats/tpm2';
import { parseUserspaceLog } from '@osguard/formats/userspace-log';
import type { UserspaceRecord } from '@osguard/formats/userspace-log';
import type { Evidence } from '../evidence/types.ts';
import { Missing } from './check.ts';
import { readKey } from './known-keys.ts';
import type { ReadKey } from './known-keys.ts';
import { matchRelease } from './match.ts';
import type { ReleaseMatch } from './match.ts';
import { readSecureBoot } from './secure-boot-variables.ts';
import type { SecureBootState } from './secure-boot-variables.ts';
import type { NodeRecord, NonceRecord, VerifyContext } from './types.ts';

/**
 * A class, not an object literal with getters: V8 keeps the closures of those in a hidden class of their own, which only a
 * major collection frees, with everything they close over. Half of the time of a verdict went into that, measured.
 */
export class Material {
  readonly context: VerifyContext;
  readonly #evidence: Evidence | undefined;
  readonly #kept = new Map<string, Kept>();

  /** @param evidence undefined when it could not be parsed. */
  constructor(evidence: Evidence | undefined, context: VerifyContext) {
    this.#evidence = evidence;
    this.context = context;
  }

  get evidence(): Evidence {
    return present(this.#evidence, 'there is no evidence to look at');
  }

  get node(): NodeRecord {
    return present(this.context.node, 'the node is not known');
  }

  get nonce(): NonceRecord {
    return present(this.context.nonce, 'the nonce is not known');
  }

  /** Of the enrolled attestation key. */
  get key(): ReadKey {
    return this.#once('the attestation key cannot be read', readNodeKey);
  }

  get signature(): TpmSignature {
    return this.#once('the signature cannot be read', readSignature);
  }

  get quote(): QuoteAttest {
    return this.#once('the quote cannot be read', readQuote);
  }

  /** Indices of the SHA-256 bank that the quote covers, ascending. */
  get selected(): readonly number[] {
    return this.#once('the quote does not say what it covers', readSelected);
  }

  get log(): EventLog {
    return this.#once('the firmware log cannot be read', readLog);
  }

  get records(): readonly UserspaceRecord[] {
    return this.#once('the userspace log cannot be read', readRecords);
  }

  /** The known release that comes nearest to the signed PCR values. */
  get match(): ReleaseMatch {
    return this.#once('no release is known', readMatch);
  }

  get secureBoot(): SecureBootState {
    return this.#once('what firmware measured of Secure Boot cannot be read', readState);
  }

  /** The first to ask sees why it cannot be read, everyone after that it cannot. */
  #once<T>(otherwise: string, read: (material: Material) => T): T {
    const kept = this.#kept.get(otherwise);
    if (kept !== undefined) {
      if ('failure' in kept) throw new Missing(kept.failure);
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- each sentence stands for one reader
      return kept.value as T;
    }
    try {
      const value = read(this);
      this.#kept.set(otherwise, { value });
      return value;
    } catch (error) {
      this.#kept.set(otherwise, { failure: error instanceof Missing ? error.message : otherwise });
      throw error;
    }
  }
}

type Kept = { readonly value: unknown } | { readonly failure: string };

function present<T>(value: T | undefined, otherwise: string): T {
  if (value === undefined) throw new Missing(otherwise);
  return value;
}

function readNodeKey({ node }: Material): ReadKey {
  return readKey(node.ak);
}

function readSignature({ evidence }: Material): TpmSignature {
  return parseTpmSignature(evidence.signature);
}

function readQuote({ evidence }: Material): QuoteAttest {
  const attest = parseAttest(evidence.quote);
  if (attest.type !== 'quote') throw new FormatError('unsupported', `an attestation of type ${attest.type}`);
  return attest;
}

function readSelected({ quote }: Material): readonly number[] {
  return quote.pcrSelections
    .filter(({ bank }) => bank === 'sha256')
    .flatMap(({ pcrs }) => pcrs)
    .toSorted((a, b) => a - b);
}

function readLog({ evidence }: Material): EventLog {
  return parseEventLog(evidence.firmwareLog, { only: 'sha256' });
}

function readRecords({ evidence }: Material): readonly UserspaceRecord[] {
  return parseUserspaceLog(Buffer.from(evidence.userspaceLog, 'utf8'), { only: 'sha256' });
}

function readMatch({ evidence, context }: Material): ReleaseMatch {
  return present(matchRelease(evidence.pcrs, context), 'no release is known');
}

function readState({ log }: Material): SecureBootState {
  return readSecureBoot(log);
}
