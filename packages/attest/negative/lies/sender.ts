/** Lies about who speaks, to whom and when: the document, the the nonce, the connection, the attestation key. */

import { publicAreaName, tpmHandle, encodeTpmSignature } from '@osguard/formats/tpm2';
import { toHex } from '@osguard/formats/bytes';
import { now } from '../model/baseline.ts';
import { sha256 } from '../model/log.ts';
import { attestationKeyArea } from '../model/tpm.ts';
import { inEvidence, inDocument, withAttributes, withArea, signatureParts, twin, minute } from './helpers.ts';
import type { Lie } from './helpers.ts';

const otherNode = 'ee'.repeat(32);

export const formatLies: readonly Lie[] = [
  {
    name: 'format-oversized',
    lie: 'a document larger than any evidence',
    check: 'evidence-format',
    unreadable: true,
    change: inDocument((text) => text.replace(/\}$/, `${' '.repeat(1_048_577)}}`)),
  },
  {
    name: 'format-nested',
    lie: 'ten thousand arrays inside each other',
    check: 'evidence-format',
    unreadable: true,
    change: inDocument((text) =>
      text.replace('"agent":', `"deep":${'['.repeat(10_000)}${']'.repeat(10_000)},"agent":`),
    ),
  },
  {
    name: 'format-unknown-member',
    lie: 'a member nobody knows',
    check: 'evidence-format',
    unreadable: true,
    change: inDocument((text) => text.replace('"agent":', '"trusted":true,"agent":')),
  },
  {
    name: 'format-other-bank-of-values',
    lie: 'values of another bank beside those that were signed',
    check: 'evidence-format',
    unreadable: true,
    change: inDocument((text) => text.replace('"pcrs":{', `"pcrs":{"sha1":{"4":"${'00'.repeat(20)}"},`)),
  },
  {
    name: 'format-base64',
    lie: 'base64 with a character that decoders skip',
    check: 'evidence-format',
    unreadable: true,
    change: inDocument((text) => text.replace('"quote":"', '"quote":"\\n')),
  },
  {
    name: 'format-not-json',
    lie: 'no JSON',
    check: 'evidence-format',
    unreadable: true,
    change: inDocument((text) => text.slice(0, -10)),
  },
];

export const freshnessLies: readonly Lie[] = [
  {
    name: 'node-unknown',
    lie: 'a machine that never enrolled',
    check: 'node-known',
    unreadable: true,
    change: (plan) => ({ ...plan, context: (context) => ({ ...context, node: undefined }) }),
  },
  {
    name: 'node-other',
    lie: 'evidence that names another node than the one it is judged for',
    check: 'node-known',
    change: (plan) => ({
      ...inEvidence(() => ({ node: otherNode }))(plan),
      nonceRecord: { node: otherNode },
    }),
  },
  {
    name: 'node-suspended',
    lie: 'a node an operator took out',
    check: 'node-state',
    change: (plan) => ({ ...plan, node: { state: 'suspended' } }),
  },
  {
    name: 'nonce-foreign',
    lie: 'a nonce this verifier never gave',
    check: 'nonce-known',
    change: (plan) => ({ ...plan, nonceRecord: { nonce: sha256('another nonce') } }),
  },
  {
    name: 'nonce-forgotten',
    lie: 'a nonce the store does not know',
    check: 'nonce-known',
    unreadable: true,
    change: (plan) => ({ ...plan, context: (context) => ({ ...context, nonce: undefined }) }),
  },
  {
    name: 'nonce-other-purpose',
    lie: 'a nonce that was given for something else',
    check: 'nonce-purpose',
    change: (plan) => ({ ...plan, nonceRecord: { purpose: 'enrolment' } }),
  },
  {
    name: 'nonce-other-node',
    lie: 'a nonce that was given to another node',
    check: 'nonce-node',
    change: (plan) => ({ ...plan, nonceRecord: { node: otherNode } }),
  },
  {
    name: 'nonce-reused',
    lie: 'evidence with a nonce that was already used',
    check: 'nonce-unused',
    change: (plan) => ({ ...plan, nonceRecord: { used: now - 1000 } }),
  },
  {
    name: 'nonce-reused-twin-signature',
    lie: 'used evidence again, its signature changed into its valid twin (r, n - s)',
    check: 'nonce-unused',
    change: (plan) => ({ ...plan, signature: twin, nonceRecord: { used: now - 1000 } }),
  },
  {
    name: 'nonce-stale',
    lie: 'a nonce that has expired',
    check: 'nonce-fresh',
    change: (plan) => ({ ...plan, nonceRecord: { issued: now - 4 * minute, expires: now - 1 } }),
  },
  {
    name: 'nonce-too-old-for-policy',
    lie: 'a nonce that has not expired but is older than the policy allows',
    check: 'nonce-fresh',
    change: (plan) => ({ ...plan, nonceRecord: { issued: now - 10 * minute, expires: now + minute } }),
  },
  {
    name: 'nonce-from-the-future',
    lie: 'a nonce issued by a clock far ahead of this one',
    check: 'nonce-fresh',
    change: (plan) => ({ ...plan, nonceRecord: { issued: now + 2 * minute, expires: now + 6 * minute } }),
  },
  {
    name: 'replayed-from-yesterday',
    lie: 'evidence recorded yesterday, its nonce long expired',
    check: 'nonce-fresh',
    change: (plan) => ({
      ...plan,
      nonceRecord: { issued: now - 24 * 60 * minute, expires: now - 24 * 60 * minute + 5 * minute },
    }),
  },
  {
    name: 'tls-key-other-connection',
    lie: 'evidence of a good machine, sent over somebody else’s connection',
    check: 'tls-key',
    change: (plan) => ({
      ...plan,
      context: (context) => ({ ...context, channelKey: sha256('another key') }),
    }),
  },
];

export const attestationKeyLies: readonly Lie[] = [
  {
    name: 'ak-swapped-after-enrolment',
    lie: 'the record’s key replaced by another one',
    check: 'ak-name',
    change: (plan) => ({
      ...plan,
      signer: 'otherAttestationKey',
      ak: attestationKeyArea('otherAttestationKey'),
      node: { akName: toHex(publicAreaName(plan.ak)) },
    }),
  },
  {
    name: 'ak-not-restricted',
    lie: 'a key that signs anything it is given',
    check: 'ak-attributes',
    change: withAttributes({ restricted: false }),
  },
  {
    name: 'ak-exportable',
    lie: 'a key that can be duplicated into another TPM',
    check: 'ak-attributes',
    change: withAttributes({ fixedTPM: false, fixedParent: false }),
  },
  {
    name: 'ak-exportable-with-parent',
    lie: 'a key that moves when its parent moves',
    check: 'ak-attributes',
    change: withAttributes({ fixedTPM: false }),
  },
  {
    name: 'ak-imported',
    lie: 'a key that was made outside the TPM',
    check: 'ak-attributes',
    change: withAttributes({ sensitiveDataOrigin: false }),
  },
  {
    name: 'ak-decrypts',
    lie: 'a key that also decrypts',
    check: 'ak-attributes',
    change: withAttributes({ decrypt: true }),
  },
  {
    name: 'ak-without-scheme',
    lie: 'a key that is bound to no signature scheme',
    check: 'ak-attributes',
    change: withArea((area) => (area.type === 'ecc' ? { ...area, scheme: null } : area)),
  },
  {
    name: 'ak-of-another-tpm',
    lie: 'a quote by the key of another TPM',
    check: 'quote-signature',
    change: (plan) => ({ ...plan, signer: 'otherAttestationKey', quotedAk: plan.ak }),
  },
  {
    name: 'signature-zero',
    lie: 'a signature with s = 0',
    check: 'signature-format',
    unreadable: true,
    change: (plan) => ({
      ...plan,
      signature: (bytes) =>
        encodeTpmSignature({
          scheme: 'ecdsa',
          hash: 'sha256',
          r: signatureParts(bytes).r,
          s: new Uint8Array(32),
        }),
    }),
  },
  {
    name: 'signature-out-of-range',
    lie: 'a signature with r above the order of the curve',
    check: 'signature-format',
    unreadable: true,
    change: (plan) => ({
      ...plan,
      signature: (bytes) =>
        encodeTpmSignature({
          scheme: 'ecdsa',
          hash: 'sha256',
          r: new Uint8Array(32).fill(0xff),
          s: signatureParts(bytes).s,
        }),
    }),
  },
  {
    name: 'signature-trailing-byte',
    lie: 'a byte behind the signature',
    check: 'signature-format',
    unreadable: true,
    change: (plan) => ({ ...plan, signature: (bytes) => Buffer.concat([bytes, Uint8Array.of(0)]) }),
  },
  {
    name: 'signature-flipped-bit',
    lie: 'a signature with one bit changed',
    check: 'quote-signature',
    change: (plan) => ({
      ...plan,
      signature: (bytes) => bytes.map((byte, at) => (at === 20 ? byte ^ 1 : byte)),
    }),
  },
  {
    name: 'quote-changed-after-signing',
    lie: 'a quote whose firmware version was changed after it was signed',
    check: 'quote-signature',
    change: inEvidence(({ quote }) => ({ quote: changeFirmwareVersion(quote) })),
  },
  {
    name: 'quote-other-signer',
    lie: 'a quote that names another key as its signer',
    check: 'quote-signer',
    change: (plan) => ({ ...plan, quotedAk: attestationKeyArea('otherAttestationKey') }),
  },
  {
    name: 'quote-other-hierarchy',
    lie: 'the same key loaded under the platform hierarchy',
    check: 'quote-signer',
    change: (plan) => ({ ...plan, hierarchy: tpmHandle.platform }),
  },
];

function changeFirmwareVersion(quote: Uint8Array): Uint8Array {
  const changed = Uint8Array.from(quote);
  // magic 4, type 2, signer 2 + 34, extraData 2 + 32, clockInfo 17; then 8 bytes of version.
  const at = 4 + 2 + 36 + 34 + 17 + 7;
  changed[at] = (changed[at] ?? 0) ^ 1;
  return changed;
}
