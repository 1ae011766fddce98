/** Lies at enrolment: the claim of a machine that wants to become a node, and the check that must be the first to say no. */

import { encodePublicArea } from '@osguard/formats/tpm2';
import { ekCertificateUsage } from '@osguard/formats/tpm2';
import type { Certificate, RevocationList } from '@osguard/formats/x509';
import type { EnrolmentCheckId, EnrolmentClaim, EnrolmentContext } from '../src/ek/types.ts';
import type { CertificateSpec } from './model/keys.ts';
import { keyUsageBits, makeCertificate, makeRevocationList } from './model/keys.ts';
import { node, now } from './model/baseline.ts';
import { attestationKeyArea, endorsementKeyArea } from './model/tpm.ts';

export interface EnrolmentPlan {
  readonly claim: EnrolmentClaim;
  readonly roots: readonly Certificate[];
  readonly intermediates: readonly Certificate[];
  readonly keys: readonly string[];
  readonly lists: readonly RevocationList[];
  /** Every authority needs one. */
  readonly required: boolean;
  readonly now: number;
}

export interface EnrolmentLie {
  readonly name: string;
  readonly lie: string;
  /** Null: accepted. */
  readonly check: EnrolmentCheckId | null;
  readonly change: (plan: EnrolmentPlan) => EnrolmentPlan;
}

const certSign = keyUsageBits.keyCertSign;
const root = makeCertificate({
  name: 'suite TPM root',
  key: 'endorsementRoot',
  authority: true,
  keyUsage: certSign,
});
const byRoot = { certificate: root, key: 'endorsementRoot' } as const;
const intermediateSpec: CertificateSpec = {
  name: 'suite TPM maker',
  key: 'endorsementIntermediate',
  issuer: byRoot,
  authority: true,
  pathLength: 0,
  keyUsage: certSign,
};
const intermediate = makeCertificate(intermediateSpec);
const byIntermediate = { certificate: intermediate, key: 'endorsementIntermediate' } as const;
const leafSpec: CertificateSpec = {
  name: 'suite TPM',
  key: 'endorsementKey',
  issuer: byIntermediate,
  keyUsage: keyUsageBits.keyEncipherment,
  extendedKeyUsage: ekCertificateUsage,
};
const leaf = makeCertificate(leafSpec);
const foreignRoot = makeCertificate({
  name: 'suite TPM root',
  key: 'foreignRoot',
  authority: true,
  keyUsage: certSign,
});

export function goodEnrolment(): EnrolmentPlan {
  return {
    claim: {
      ek: encodePublicArea(endorsementKeyArea('endorsementKey')),
      ekCertificates: [leaf.der, intermediate.der],
      ak: encodePublicArea(attestationKeyArea('attestationKey')),
    },
    roots: [root],
    intermediates: [],
    keys: [],
    lists: [],
    required: false,
    now,
  };
}

export function settleEnrolment(plan: EnrolmentPlan): {
  readonly claim: EnrolmentClaim;
  readonly context: EnrolmentContext;
} {
  const trust = {
    endorsementRoots: plan.roots,
    endorsementIntermediates: plan.intermediates,
    endorsementKeys: new Set(plan.keys),
    revocation: { lists: plan.lists, required: plan.required, grace: 0 },
    release: [],
  };
  return { claim: plan.claim, context: { policy: { trust }, now: plan.now } };
}

const withLeaf =
  (changes: Partial<CertificateSpec>) =>
  (plan: EnrolmentPlan): EnrolmentPlan =>
    withChain([makeCertificate({ ...leafSpec, ...changes }).der, intermediate.der])(plan);
const withChain =
  (ekCertificates: readonly Uint8Array[]) =>
  (plan: EnrolmentPlan): EnrolmentPlan => ({ ...plan, claim: { ...plan.claim, ekCertificates } });
const withAk =
  (changes: Parameters<typeof attestationKeyArea>[1]) =>
  (plan: EnrolmentPlan): EnrolmentPlan => ({
    ...plan,
    claim: { ...plan.claim, ak: encodePublicArea(attestationKeyArea('attestationKey', changes)) },
  });

/** As many authorities of one name as a message may carry: each could have signed the next. */
const pile = Array.from(
  { length: 7 },
  () => makeCertificate({ ...intermediateSpec, key: 'foreignRoot', pathLength: 9 }).der,
);
const expiredIntermediate = makeCertificate({ ...intermediateSpec, notAfter: '2026-06-01T00:00:00Z' });
const noAuthority = makeCertificate({ ...intermediateSpec, authority: false });
const noCertSign = makeCertificate({ ...intermediateSpec, keyUsage: keyUsageBits.digitalSignature });
const second = makeCertificate({
  name: 'suite TPM maker 2',
  key: 'foreignRoot',
  issuer: byIntermediate,
  authority: true,
  keyUsage: certSign,
});

/** Authorities that may sign revocation lists, and a machine of theirs. */
const lister = certSign | keyUsageBits.cRLSign;
const listingRoot = makeCertificate({
  name: 'suite TPM root',
  key: 'endorsementRoot',
  authority: true,
  keyUsage: lister,
});
const byListingRoot = { certificate: listingRoot, key: 'endorsementRoot' } as const;
const listingMaker = makeCertificate({ ...intermediateSpec, issuer: byListingRoot, keyUsage: lister });
const byListingMaker = { certificate: listingMaker, key: 'endorsementIntermediate' } as const;
const unlisting = makeCertificate({ ...intermediateSpec, issuer: byListingRoot });
const byUnlisting = { certificate: unlisting, key: 'endorsementIntermediate' } as const;
const rootList = makeRevocationList({ issuer: byListingRoot });
const makerList = makeRevocationList({ issuer: byListingMaker });
const withLists =
  (lists: readonly RevocationList[], chain = [leaf.der, listingMaker.der]) =>
  (plan: EnrolmentPlan): EnrolmentPlan => ({
    ...withChain(chain)(plan),
    roots: [listingRoot],
    lists,
    required: true,
  });

export const enrolmentLies: readonly EnrolmentLie[] = [
  {
    name: 'enrolment-padded',
    lie: 'none: the certificate carries the padding of its NV index',
    check: null,
    change: withChain([Buffer.concat([leaf.der, new Uint8Array(64).fill(0xff)]), intermediate.der]),
  },
  {
    name: 'enrolment-listed',
    lie: 'none: no certificate, but an operator put the key on the list',
    check: null,
    change: (plan) => ({ ...withChain([])(plan), roots: [], keys: [node] }),
  },
  {
    name: 'enrolment-known-intermediate',
    lie: 'none: the policy knows the authority the TPM does not carry',
    check: null,
    change: (plan) => ({ ...withChain([leaf.der])(plan), intermediates: [intermediate] }),
  },
  {
    name: 'enrolment-ek-broken',
    lie: 'an endorsement key that cannot be read',
    check: 'ek-format',
    change: (plan) => ({ ...plan, claim: { ...plan.claim, ek: plan.claim.ek.slice(0, -1) } }),
  },
  {
    name: 'enrolment-ek-signs',
    lie: 'an endorsement key that is no TPM’s: it signs',
    check: 'ek-profile',
    change: (plan) => ({
      ...plan,
      claim: {
        ...plan.claim,
        ek: encodePublicArea({
          ...endorsementKeyArea('endorsementKey'),
          attributes: { ...endorsementKeyArea('endorsementKey').attributes, sign: true },
        }),
      },
    }),
  },
  {
    name: 'enrolment-ek-exportable',
    lie: 'an endorsement key that can leave its TPM',
    check: 'ek-profile',
    change: (plan) => ({
      ...plan,
      claim: {
        ...plan.claim,
        ek: encodePublicArea({
          ...endorsementKeyArea('endorsementKey'),
          attributes: {
            ...endorsementKeyArea('endorsementKey').attributes,
            fixedTPM: false,
            fixedParent: false,
          },
        }),
      },
    }),
  },
  {
    name: 'enrolment-ak-broken',
    lie: 'an attestation key with bytes behind it',
    check: 'ak-format',
    change: (plan) => ({
      ...plan,
      claim: { ...plan.claim, ak: Buffer.concat([plan.claim.ak, Uint8Array.of(0)]) },
    }),
  },
  {
    name: 'enrolment-ak-not-on-curve',
    lie: 'an attestation key whose point is not on the curve',
    check: 'ak-format',
    change: (plan) => ({
      ...plan,
      claim: {
        ...plan.claim,
        ak: plan.claim.ak.map((byte, at) => (at === plan.claim.ak.length - 1 ? byte ^ 1 : byte)),
      },
    }),
  },
  {
    name: 'enrolment-ak-not-restricted',
    lie: 'an attestation key that signs anything',
    check: 'ak-attributes',
    change: withAk({ restricted: false }),
  },
  {
    name: 'enrolment-ak-exportable',
    lie: 'an attestation key that can leave its TPM',
    check: 'ak-attributes',
    change: withAk({ fixedTPM: false, fixedParent: false }),
  },
  {
    name: 'enrolment-ak-imported',
    lie: 'an attestation key from outside',
    check: 'ak-attributes',
    change: withAk({ sensitiveDataOrigin: false }),
  },
  {
    name: 'enrolment-nobody-trusted',
    lie: 'a verifier that trusts no root and lists no key',
    check: 'ek-certificate-path',
    change: (plan) => ({ ...plan, roots: [] }),
  },
  {
    name: 'enrolment-without-certificate',
    lie: 'a machine without certificate that is not on the list',
    check: 'ek-certificate',
    change: withChain([]),
  },
  {
    name: 'enrolment-other-on-the-list',
    lie: 'a list with another machine’s key',
    check: 'ek-certificate',
    change: (plan) => ({ ...withChain([])(plan), keys: ['ab'.repeat(32)] }),
  },
  {
    name: 'enrolment-not-a-certificate',
    lie: 'something that is no certificate',
    check: 'ek-certificate',
    change: withChain([Uint8Array.of(0x30, 3, 1, 1, 0)]),
  },
  {
    name: 'enrolment-bytes-behind-certificate',
    lie: 'a certificate with something behind it that is not padding',
    check: 'ek-certificate',
    change: withChain([Buffer.concat([leaf.der, Uint8Array.of(0xff, 0x00)]), intermediate.der]),
  },
  {
    name: 'enrolment-too-many-certificates',
    lie: 'more certificates than any TPM carries',
    check: 'ek-certificate',
    change: withChain([leaf.der, intermediate.der, ...pile]),
  },
  {
    name: 'enrolment-key-mismatch',
    lie: 'the certificate of another TPM',
    check: 'ek-certificate-key',
    change: withLeaf({ key: 'otherEndorsementKey' }),
  },
  {
    name: 'enrolment-wrong-eku',
    lie: 'a certificate for a TLS server',
    check: 'ek-certificate-usage',
    change: withLeaf({ extendedKeyUsage: '1.3.6.1.5.5.7.3.1' }),
  },
  {
    name: 'enrolment-wrong-key-usage',
    lie: 'a certificate whose key may only sign',
    check: 'ek-certificate-usage',
    change: withLeaf({ keyUsage: keyUsageBits.digitalSignature }),
  },
  {
    name: 'enrolment-certificate-is-authority',
    lie: 'the certificate of an authority',
    check: 'ek-certificate-role',
    change: withLeaf({ authority: true }),
  },
  {
    name: 'enrolment-expired',
    lie: 'an expired certificate',
    check: 'ek-certificate-path',
    change: withLeaf({ notAfter: '2026-06-01T00:00:00Z' }),
  },
  {
    name: 'enrolment-not-yet-valid',
    lie: 'a certificate that is valid from tomorrow',
    check: 'ek-certificate-path',
    change: withLeaf({ notBefore: '2026-11-23T10:00:00Z' }),
  },
  {
    name: 'enrolment-wrong-chain',
    lie: 'a certificate that leads to a root of the right name and the wrong key',
    check: 'ek-certificate-path',
    change: (plan) => ({ ...plan, roots: [foreignRoot] }),
  },
  {
    name: 'enrolment-intermediate-missing',
    lie: 'a certificate whose issuer nobody knows',
    check: 'ek-certificate-path',
    change: withChain([leaf.der]),
  },
  {
    name: 'enrolment-intermediate-expired',
    lie: 'an expired authority in between',
    check: 'ek-certificate-path',
    change: withChain([leaf.der, expiredIntermediate.der]),
  },
  {
    name: 'enrolment-intermediate-no-authority',
    lie: 'a device certificate used as an authority',
    check: 'ek-certificate-path',
    change: withChain([leaf.der, noAuthority.der]),
  },
  {
    name: 'enrolment-intermediate-may-not-sign',
    lie: 'an authority whose key may not sign certificates',
    check: 'ek-certificate-path',
    change: withChain([leaf.der, noCertSign.der]),
  },
  {
    name: 'enrolment-path-too-long',
    lie: 'an authority made by one that may not make authorities',
    check: 'ek-certificate-path',
    change: withChain([
      makeCertificate({ ...leafSpec, issuer: { certificate: second, key: 'foreignRoot' } }).der,
      second.der,
      intermediate.der,
    ]),
  },
  {
    name: 'enrolment-pile-of-authorities',
    lie: 'a pile of authorities of one name, to keep the verifier busy',
    check: 'ek-certificate-path',
    change: withChain([leaf.der, ...pile]),
  },
  {
    name: 'enrolment-self-signed',
    lie: 'a certificate the machine signed itself',
    check: 'ek-certificate-path',
    change: withChain([
      makeCertificate({ ...leafSpec, issuer: { certificate: foreignRoot, key: 'foreignRoot' } }).der,
    ]),
  },
  {
    name: 'enrolment-not-revoked',
    lie: 'none: every authority has a revocation list, and none names the machine',
    check: null,
    change: withLists([rootList, makerList]),
  },
  {
    name: 'enrolment-revoked',
    lie: 'a certificate its authority revoked',
    check: 'ek-certificate-revocation',
    change: withLists([rootList, makeRevocationList({ issuer: byListingMaker, revoked: [leaf] })]),
  },
  {
    name: 'enrolment-revoked-meanwhile',
    lie: 'a certificate that was revoked after the older of two lists',
    check: 'ek-certificate-revocation',
    change: withLists([
      rootList,
      makerList,
      makeRevocationList({ issuer: byListingMaker, revoked: [leaf], thisUpdate: '2026-11-21T00:00:00Z' }),
    ]),
  },
  {
    name: 'enrolment-intermediate-revoked',
    lie: 'an authority in between that was revoked',
    check: 'ek-certificate-revocation',
    change: withLists([makeRevocationList({ issuer: byListingRoot, revoked: [listingMaker] }), makerList]),
  },
  {
    name: 'enrolment-revoked-in-an-expired-list',
    lie: 'a certificate revoked in a list that is too old to say that another was not',
    check: 'ek-certificate-revocation',
    change: withLists([
      rootList,
      makeRevocationList({
        issuer: byListingMaker,
        revoked: [leaf],
        thisUpdate: '2026-01-01T00:00:00Z',
        nextUpdate: '2026-02-01T00:00:00Z',
      }),
    ]),
  },
  {
    name: 'enrolment-list-expired',
    lie: 'a revocation list kept back: the next one is long due',
    check: 'ek-certificate-revocation',
    change: withLists([
      rootList,
      makeRevocationList({
        issuer: byListingMaker,
        thisUpdate: '2026-10-01T00:00:00Z',
        nextUpdate: '2026-11-01T00:00:00Z',
      }),
    ]),
  },
  {
    name: 'enrolment-list-from-the-future',
    lie: 'a revocation list made tomorrow',
    check: 'ek-certificate-revocation',
    change: withLists([
      rootList,
      makeRevocationList({ issuer: byListingMaker, thisUpdate: '2026-11-23T00:00:00Z' }),
    ]),
  },
  {
    name: 'enrolment-list-missing',
    lie: 'an authority without a revocation list, where the policy wants one of each',
    check: 'ek-certificate-revocation',
    change: withLists([rootList]),
  },
  {
    name: 'enrolment-list-by-another-key',
    lie: 'a revocation list in the name of the authority, by another key',
    check: 'ek-certificate-revocation',
    change: withLists([
      rootList,
      makeRevocationList({ issuer: { certificate: listingMaker, key: 'foreignRoot' } }),
    ]),
  },
  {
    name: 'enrolment-list-by-a-key-that-may-not',
    lie: 'a revocation list by an authority whose key may not sign lists',
    check: 'ek-certificate-revocation',
    change: withLists([rootList, makeRevocationList({ issuer: byUnlisting })], [leaf.der, unlisting.der]),
  },
];
