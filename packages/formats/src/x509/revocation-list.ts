/**
 * Certificate revocation lists, version 2 (RFC 5280 section 5), read strictly: complete lists of one authority. Lists of
 * changes (delta), of part of the certificates or of several authorities carry critical extensions, and are refused.
 */

import { equalBytes, FormatError, toHex } from '../bytes/index.ts';
import { DerReader, derTag } from '../der/index.ts';
import { parseExtensions, parseTime, readAlgorithm } from './certificate.ts';
import type { Certificate } from './certificate.ts';
import { formatName, parseName } from './name.ts';
import { isIssuedBy, keyUsages } from './path.ts';

export interface RevocationList {
  readonly der: Uint8Array;
  /** The signed part. */
  readonly tbs: Uint8Array;
  readonly signatureOid: string;
  readonly signature: Uint8Array;
  /** Name of the authority, DER. */
  readonly issuer: Uint8Array;
  readonly issuerText: string;
  /** Milliseconds since 1970, UTC. */
  readonly thisUpdate: number;
  /** By then there is a newer one. */
  readonly nextUpdate: number;
  /** Content octets of the serial number in lower-case hex, to the time of the revocation. */
  readonly revoked: ReadonlyMap<string, number>;
}

/** Bytes, and certificates. The largest list of a TPM manufacturer has some hundred kilobytes. */
const largest = 16 * 1024 * 1024;
const mostRevoked = 500_000;

/** @throws FormatError unless `der` is exactly one list. */
export function parseRevocationList(der: Uint8Array): RevocationList {
  if (der.length > largest) throw new FormatError('too-large', `revocation list of ${der.length} bytes`);
  const outer = new DerReader(der);
  const whole = outer.sequence('revocation list');
  outer.end('revocation list');
  const signed = whole.element(derTag.sequence, 'signed part');
  const signatureOid = readAlgorithm(whole, 'signature algorithm');
  const signature = whole.bitString('signature');
  whole.end('revocation list');
  const tbs = whole.inside(signed);
  if (tbs.smallInteger('version') !== 1) {
    throw new FormatError('unsupported', 'revocation list: not version 2', { offset: tbs.offset });
  }
  if (readAlgorithm(tbs, 'signature algorithm') !== signatureOid) {
    throw new FormatError('malformed', 'the two signature algorithms of the revocation list differ', {
      offset: tbs.offset,
    });
  }
  const issuer = tbs.element(derTag.sequence, 'issuer');
  const thisUpdate = parseTime(tbs.any('this update'));
  // Section 5.1.2.5: has to be there, although the syntax would do without.
  const nextUpdate = parseTime(tbs.any('next update'));
  const revoked = tbs.peek() === derTag.sequence ? readRevoked(tbs.sequence('revoked')) : new Map();
  if (!tbs.done) refuseCritical(tbs.enter(0xa0, 'extensions'), 'revocation list');
  tbs.end('signed part');
  return {
    der,
    tbs: signed.bytes,
    signatureOid,
    signature,
    issuer: issuer.bytes,
    issuerText: formatName(parseName(issuer.bytes)),
    thisUpdate,
    nextUpdate,
    revoked,
  };
}

function readRevoked(list: DerReader): ReadonlyMap<string, number> {
  const revoked = new Map<string, number>();
  while (!list.done) {
    const entry = list.sequence('revoked certificate');
    const serial = toHex(entry.integer('serial number'));
    revoked.set(serial, parseTime(entry.any('revocation date')));
    if (!entry.done) refuseCritical(entry, 'revoked certificate');
    entry.end('revoked certificate');
    if (revoked.size > mostRevoked) {
      throw new FormatError('too-large', `revocation list: more than ${mostRevoked} certificates`);
    }
  }
  return revoked;
}

/** What is critical changes what the list says (sections 5.2 and 5.3), and none of it is read here. */
function refuseCritical(wrapper: DerReader, what: string): void {
  const { offset } = wrapper;
  const unread = parseExtensions(wrapper).find(({ critical }) => critical);
  if (unread === undefined) return;
  throw new FormatError('unsupported', `${what}: critical extension ${unread.oid}`, { offset });
}

/** Made and signed by this authority, whose key may sign such lists (section 6.3.3 f and g). */
export function isListOf(list: RevocationList, authority: Certificate): boolean {
  if (!equalBytes(list.issuer, authority.subject)) return false;
  if (keyUsages(authority)?.includes('cRLSign') === false) return false;
  return isIssuedBy(list, authority);
}
