/**
 * Certification path validation with a clock (RFC 5280 section 6.1), for certificates of devices: names chain, every
 * signature holds, every certificate is valid at the given time, authorities may sign certificates and keep to their
 * path length, and no critical extension is left unread. Not read, and therefore refused when critical: name
 * constraints, policy constraints. Revocation is the caller's matter.
 *
 * `findTrustPath` of this folder is for firmware and kernel keyrings, which have no clock.
 */

import { equalBytes, FormatError, toHex } from '../bytes/index.ts';
import { DerReader, derTag } from '../der/index.ts';
import type { Certificate } from './certificate.ts';
import { extensionOids } from './encode.ts';
import { signatureKind } from './oids.ts';
import { isAuthority, isSignedBy } from './verify.ts';

export interface PathContext {
  /** A path must end at one of these, compared byte for byte. */
  readonly anchors: readonly Certificate[];
  /** May be hostile: nothing follows from being here. */
  readonly others: readonly Certificate[];
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Critical extensions of the leaf that the caller reads itself. */
  readonly understood?: readonly string[];
}

export type PathProblem =
  /** No certificate of the issuer's name signed it, up to an anchor. */
  | 'no-path'
  | 'not-yet-valid'
  | 'expired'
  /** An issuer may not sign certificates, or not that deep. */
  | 'not-an-authority'
  /** A critical extension nobody here reads. */
  | 'critical-extension'
  /** More candidates than a path is worth. */
  | 'too-many';

export type PathVerdict =
  | { readonly ok: true; /** Leaf first, anchor last. */ readonly path: readonly Certificate[] }
  | { readonly ok: false; readonly problem: PathProblem; readonly detail: string };

/** Certificates of a path, leaf and anchor included. */
const longestPath = 8;
/** Signatures looked at for one leaf, so that a pile of certificates with one name costs little. */
const mostSignatures = 32;

/**
 * Certificate policies count as read: any policy is acceptable here, so they change nothing (section 6.1.1 c and e)
 * unless policy constraints, which are refused when critical, demand one.
 */
const readHere: ReadonlySet<string> = new Set([
  extensionOids.basicConstraints,
  extensionOids.keyUsage,
  '2.5.29.32',
]);

interface Search extends PathContext {
  signatures: number;
  /** The problem of the path that came closest to an anchor. */
  best: { readonly depth: number; readonly problem: PathProblem; readonly detail: string } | undefined;
}

/** @throws FormatError never: what cannot be read is a path that does not hold. */
export function validatePath(leaf: Certificate, context: PathContext): PathVerdict {
  const search: Search = { ...context, signatures: 0, best: undefined };
  const own = problemAt(leaf, { now: context.now, understood: context.understood ?? [] });
  if (own !== undefined) return { ok: false, ...own };
  const path = extend([leaf], search);
  if (path !== undefined) return { ok: true, path };
  const { problem, detail } = search.best ?? noPath(leaf);
  return { ok: false, problem, detail };
}

function extend(path: readonly Certificate[], search: Search): readonly Certificate[] | undefined {
  const last = path.at(-1);
  if (last === undefined || path.length >= longestPath) return undefined;
  for (const issuer of [...search.anchors, ...search.others]) {
    if (!equalBytes(issuer.subject, last.issuer) || path.includes(issuer)) continue;
    if (search.signatures >= mostSignatures) {
      remember(search, path.length, {
        problem: 'too-many',
        detail: `more than ${mostSignatures} certificates could have issued another`,
      });
      return undefined;
    }
    search.signatures += 1;
    if (!isIssuedBy(last, issuer)) continue;
    const problem =
      problemAt(issuer, { now: search.now, understood: [] }) ?? authorityProblem(issuer, path.length - 1);
    if (problem !== undefined) {
      remember(search, path.length, problem);
      continue;
    }
    const longer = [...path, issuer];
    if (search.anchors.some((anchor) => equalBytes(anchor.der, issuer.der))) return longer;
    const whole = extend(longer, search);
    if (whole !== undefined) return whole;
  }
  remember(search, path.length, noPath(last));
  return undefined;
}

function noPath({ issuerText }: Certificate): { problem: PathProblem; detail: string } {
  return {
    problem: 'no-path',
    detail: `nothing trusted leads to its issuer, ${issuerText || 'who has no name'}`,
  };
}

function remember(search: Search, depth: number, found: { problem: PathProblem; detail: string }): void {
  const { best } = search;
  // A certificate that is there but not good says more than one that is not there.
  const better =
    best === undefined || depth > best.depth || (depth === best.depth && best.problem === 'no-path');
  if (better && !(best !== undefined && found.problem === 'no-path' && best.problem !== 'no-path')) {
    search.best = { depth, ...found };
  }
}

function problemAt(
  certificate: Certificate,
  { now, understood }: { readonly now: number; readonly understood: readonly string[] },
): { problem: PathProblem; detail: string } | undefined {
  const { notBefore, notAfter, extensions, subjectText } = certificate;
  const who = subjectText || `serial number ${toHex(certificate.serial)}`;
  // Written so that a clock that is not a number is a problem too.
  if (!(now >= notBefore)) {
    return { problem: 'not-yet-valid', detail: `${who}: valid from ${new Date(notBefore).toISOString()}` };
  }
  if (!(now <= notAfter)) {
    return { problem: 'expired', detail: `${who}: valid until ${new Date(notAfter).toISOString()}` };
  }
  const unread = extensions.find(
    ({ oid, critical }) => critical && !readHere.has(oid) && !understood.includes(oid),
  );
  if (unread !== undefined) {
    return { problem: 'critical-extension', detail: `${who}: critical extension ${unread.oid}` };
  }
  return undefined;
}

/** @param below certificates between this one and the leaf; the leaf does not count (RFC 5280 section 4.2.1.9). */
function authorityProblem(
  issuer: Certificate,
  below: number,
): { problem: PathProblem; detail: string } | undefined {
  const problem = 'not-an-authority';
  try {
    if (!isAuthority(issuer)) return { problem, detail: `${issuer.subjectText}: may not sign certificates` };
    const { pathLength } = basicConstraints(issuer);
    if (pathLength !== undefined && below > pathLength) {
      return {
        problem,
        detail: `${issuer.subjectText}: ${below} authorities below it, ${pathLength} are allowed`,
      };
    }
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return { problem, detail: `${issuer.subjectText}: ${error.message}` };
  }
  return undefined;
}

export interface BasicConstraints {
  /** The certificate says that it is one of an authority, whatever its key may be used for. */
  readonly authority: boolean;
  /** Authorities that may follow below; undefined when that is not bounded. */
  readonly pathLength: number | undefined;
}

/** RFC 5280 section 4.2.1.9; without the extension no authority. @throws FormatError */
export function basicConstraints(certificate: Certificate): BasicConstraints {
  const value = extensionValue(certificate, extensionOids.basicConstraints);
  if (value === undefined) return { authority: false, pathLength: undefined };
  const outer = new DerReader(value);
  const inner = outer.sequence('basic constraints');
  outer.end('basic constraints');
  const authority = inner.peek() === derTag.boolean && inner.boolean('CA');
  return { authority, pathLength: inner.done ? undefined : inner.smallInteger('path length') };
}

/** For this folder: the signature holds; whether the issuer may sign such a thing is another question. */
export function isIssuedBy(
  subject: Pick<Certificate, 'signatureOid' | 'tbs' | 'signature'>,
  issuer: Certificate,
): boolean {
  const kind = signatureKind(subject.signatureOid);
  if (kind?.digest === undefined || kind.key !== issuer.keyKind) return false;
  try {
    return isSignedBy(issuer, {
      digestAlgorithm: kind.digest,
      data: subject.tbs,
      signature: subject.signature,
    });
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}

export type KeyUsage =
  | 'digitalSignature'
  | 'nonRepudiation'
  | 'keyEncipherment'
  | 'dataEncipherment'
  | 'keyAgreement'
  | 'keyCertSign'
  | 'cRLSign';

const usages: readonly KeyUsage[] = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
];

/** What the key may be used for; undefined when the certificate does not say. @throws FormatError */
export function keyUsages(certificate: Certificate): readonly KeyUsage[] | undefined {
  const value = extensionValue(certificate, extensionOids.keyUsage);
  if (value === undefined) return undefined;
  const reader = new DerReader(value);
  const { content } = reader.element(derTag.bitString, 'key usage');
  reader.end('key usage');
  const bits = content[1] ?? 0;
  return usages.filter((_, index) => (bits & (0x80 >> index)) !== 0);
}

function extensionValue(certificate: Certificate, oid: string): Uint8Array | undefined {
  return certificate.extensions.find((extension) => extension.oid === oid)?.value;
}
