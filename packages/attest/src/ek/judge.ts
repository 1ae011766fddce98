/**
 * May this machine enrol? Its endorsement key must be a TPM's own: because a trusted manufacturer certified it (TCG EK
 * Credential Profile 2.5, section 3), or because an operator put its digest on the list. No root and no list means nobody.
 * Pure: what follows from the answer (the credential, the record) is the service's.
 */

import { hash } from 'node:crypto';
import { equalBytes, FormatError, toHex } from '@osguard/formats/bytes';
import { DerReader } from '@osguard/formats/der';
import {
  attributeNames,
  ekCertificateUsage,
  ekProfiles,
  parseEkCertificate,
  parsePublicArea,
  publicAreaName,
  publicAreaSpki,
  publicKeyOf,
} from '@osguard/formats/tpm2';
import type { EkCertificate, TpmPublic } from '@osguard/formats/tpm2';
import { basicConstraints, keyUsages, parseCertificate, validatePath } from '@osguard/formats/x509';
import type { Certificate } from '@osguard/formats/x509';
import { limits } from '../protocol/index.ts';
import { attestationKeyProblem } from '../verify/attestation-key.ts';
import { revocationProblem } from './revocation.ts';
import type {
  EnrolmentCheck,
  EnrolmentCheckId,
  EnrolmentClaim,
  EnrolmentContext,
  EnrolmentJudgement,
} from './types.ts';

type Problem = Omit<EnrolmentCheck, 'id' | 'ok'>;

/** Subject alternative name: the EK profile makes it critical when the subject is empty, and it is read here. */
const subjectAltName = '2.5.29.17';
const extendedKeyUsage = '2.5.29.37';
export const understoodExtensions: readonly string[] = [subjectAltName, extendedKeyUsage];
/** RFC 4055: some manufacturers certify RSA keys under this identifier. */
const rsaesOaep = '1.2.840.113549.1.1.7';
const rsaEncryption = '1.2.840.113549.1.1.1';

class Checks {
  readonly list: EnrolmentCheck[] = [];

  /** Undefined when the check failed. */
  check<T>(id: EnrolmentCheckId, claim: string, body: () => T | Refusal): T | undefined {
    try {
      const result = body();
      if (!(result instanceof Refusal)) {
        this.list.push({ id, ok: true, message: claim });
        return result;
      }
      this.list.push({ id, ok: false, ...result.problem });
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      this.list.push({ id, ok: false, message: error.message });
    }
    return undefined;
  }
}

class Refusal {
  readonly problem: Problem;

  constructor(problem: Problem) {
    this.problem = problem;
  }
}

export function judgeEnrolment(claim: EnrolmentClaim, context: EnrolmentContext): EnrolmentJudgement {
  const checks = new Checks();
  const { trust } = context.policy;
  const ek = checks.check('ek-format', 'the endorsement key is a valid public key', () => readKey(claim.ek));
  if (ek !== undefined) {
    checks.check('ek-profile', 'the endorsement key has the form of the EK profile', () => checkProfile(ek));
  }
  const ak = checks.check('ak-format', 'the attestation key is a valid public key', () => readKey(claim.ak));
  if (ak !== undefined) {
    checks.check(
      'ak-attributes',
      'the attestation key can only sign what its own TPM says about itself',
      () => {
        const problem = attestationKeyProblem(ak);
        return problem === undefined ? true : new Refusal(problem);
      },
    );
  }
  const node = hash('sha256', claim.ek, 'hex');
  const listed = trust.endorsementKeys.has(node);
  let certificate: EkCertificate | undefined;
  if (listed) {
    checks.list.push({
      id: 'ek-certificate-path',
      ok: true,
      message: 'an operator put the endorsement key on the list',
      found: node,
    });
  } else if (ek !== undefined) {
    certificate = checkCertificate(checks, { claim, ek, context });
  }
  const failed = checks.list.find(({ ok }) => !ok);
  const accepted = failed === undefined && ek !== undefined && ak !== undefined;
  return {
    accepted,
    checks: checks.list,
    ...(failed !== undefined && { reason: failed.id }),
    ...(accepted && { by: listed ? 'allow-list' : 'certificate' }),
    ...(ek !== undefined && { node, ek }),
    ...(ak !== undefined && { ak, akName: toHex(publicAreaName(ak)) }),
    ...(certificate !== undefined && { tpm: tpmOf(certificate) }),
  };
}

function readKey(bytes: Uint8Array): TpmPublic {
  const area = parsePublicArea(bytes);
  // A point that is not on its curve must not get as far as a credential.
  publicKeyOf(area);
  return area;
}

function checkProfile(ek: TpmPublic): true | Refusal {
  const profile = ekProfiles.find(({ template }) => {
    if (template.type !== ek.type || template.nameAlg !== ek.nameAlg) return false;
    if (!equalBytes(template.authPolicy, ek.authPolicy)) return false;
    if (attributeNames(template.attributes).join() !== attributeNames(ek.attributes).join()) return false;
    if (template.type === 'keyedhash' || ek.type === 'keyedhash') return false;
    if (ek.scheme !== null || ek.symmetric?.keyBits !== template.symmetric?.keyBits) return false;
    if (template.type === 'rsa') return ek.type === 'rsa' && template.keyBits === ek.keyBits;
    return ek.type === 'ecc' && template.curve === ek.curve;
  });
  if (profile !== undefined) return true;
  return new Refusal({
    message: 'the endorsement key has none of the templates of the TCG EK Credential Profile',
    expected: ekProfiles.map(({ id }) => id).join(', '),
    found: `${ek.type}, ${attributeNames(ek.attributes).join(', ')}`,
  });
}

interface CertificateClaim {
  readonly claim: EnrolmentClaim;
  readonly ek: TpmPublic;
  readonly context: EnrolmentContext;
}

function checkCertificate(
  checks: Checks,
  { claim, ek, context }: CertificateClaim,
): EkCertificate | undefined {
  const parsed = checks.check('ek-certificate', 'the endorsement key has a certificate', () =>
    readChain(claim, context),
  );
  if (parsed === undefined) return undefined;
  const { leaf, others } = parsed;
  checks.check('ek-certificate-key', 'the certificate is for this endorsement key', () => {
    if (certifies(leaf.certificate, ek)) return true;
    return new Refusal({
      message: 'the certificate is for another key',
      expected: `SHA-256 ${hash('sha256', publicAreaSpki(ek), 'hex')}`,
      found: `SHA-256 ${hash('sha256', leaf.certificate.publicKey, 'hex')}`,
    });
  });
  checks.check('ek-certificate-usage', 'the certificate is one of an endorsement key', () =>
    checkUsage(leaf, ek),
  );
  checks.check('ek-certificate-role', 'the certificate is not one of an authority', () => {
    const { authority } = basicConstraints(leaf.certificate);
    if (!authority && keyUsages(leaf.certificate)?.includes('keyCertSign') !== true) return true;
    return new Refusal({ message: 'the certificate is one of an authority, which no endorsement key is' });
  });
  const path = checks.check('ek-certificate-path', 'the certificate leads to a trusted root', () => {
    const { endorsementRoots, endorsementIntermediates } = context.policy.trust;
    if (endorsementRoots.length === 0) {
      return new Refusal({ message: 'the policy trusts no root of endorsement certificates' });
    }
    const verdict = validatePath(leaf.certificate, {
      anchors: endorsementRoots,
      others: [...others, ...endorsementIntermediates],
      now: context.now,
      understood: understoodExtensions,
    });
    if (verdict.ok) return verdict.path;
    return new Refusal({ message: pathMessages[verdict.problem], found: verdict.detail });
  });
  if (path === undefined) return leaf;
  const { revocation } = context.policy.trust;
  const claimed =
    revocation.lists.length === 0 && !revocation.required
      ? 'no revocation list was given to look at'
      : 'no certificate on the way to the root was revoked';
  checks.check('ek-certificate-revocation', claimed, () => {
    const found = revocationProblem(path, revocation, context.now);
    if (found === undefined) return true;
    const { problem: _problem, ...told } = found;
    return new Refusal(told);
  });
  return leaf;
}

const pathMessages = {
  'no-path': 'the certificate does not lead to a trusted root',
  'not-yet-valid': 'a certificate on the way to the root is not valid yet',
  expired: 'a certificate on the way to the root has expired',
  'not-an-authority': 'a certificate on the way to the root may not sign others',
  'critical-extension': 'a certificate has a critical extension that is not understood',
  'too-many': 'too many certificates to look for a path in',
} as const;

function readChain(
  { ekCertificates }: EnrolmentClaim,
  { policy }: EnrolmentContext,
): { readonly leaf: EkCertificate; readonly others: readonly Certificate[] } | Refusal {
  const [leaf, ...others] = ekCertificates;
  if (leaf === undefined) {
    return new Refusal({
      message:
        policy.trust.endorsementRoots.length === 0
          ? 'no certificate, not on the list, and the policy trusts no root'
          : 'the TPM has no endorsement certificate, and its key is not on the list',
    });
  }
  if (ekCertificates.length > limits.certificates) {
    return new Refusal({
      message: 'too many certificates',
      expected: `at most ${limits.certificates}`,
      found: String(ekCertificates.length),
    });
  }
  return { leaf: parseEkCertificate(leaf), others: others.map((der) => parseCertificate(der)) };
}

function checkUsage(leaf: EkCertificate, ek: TpmPublic): true | Refusal {
  if (!leaf.extendedKeyUsages.includes(ekCertificateUsage)) {
    return new Refusal({
      message: 'the certificate was not issued for an endorsement key (extended key usage)',
      expected: `${ekCertificateUsage} (tcg-kp-EKCertificate)`,
      found: leaf.extendedKeyUsages.join(', ') || 'none',
    });
  }
  const expected = ek.type === 'rsa' ? 'keyEncipherment' : 'keyAgreement';
  const usages = keyUsages(leaf.certificate) ?? [];
  if (usages.includes(expected)) return true;
  return new Refusal({
    message: 'the certificate does not allow what an endorsement key does (key usage)',
    expected,
    found: usages.join(', ') || 'none',
  });
}

function certifies(certificate: Certificate, ek: TpmPublic): boolean {
  const own = publicAreaSpki(ek);
  if (equalBytes(own, certificate.publicKey)) return true;
  const mine = keyParts(own);
  const theirs = keyParts(certificate.publicKey);
  return (
    mine.algorithm === rsaEncryption && theirs.algorithm === rsaesOaep && equalBytes(mine.key, theirs.key)
  );
}

function keyParts(spki: Uint8Array): { readonly algorithm: string; readonly key: Uint8Array } {
  const info = new DerReader(spki).sequence('public key');
  const algorithm = info.sequence('key algorithm').oid('key algorithm');
  return { algorithm, key: info.bitString('public key') };
}

function tpmOf({ manufacturer, model, version }: EkCertificate): NonNullable<EnrolmentJudgement['tpm']> {
  return { manufacturer, model, version };
}
