/** Which key signed, and can it lie? TPM 2.0 Library Part 1 sections 16 (names) and 25.2 (attributes), Part 2 section 8.3. */

import { equalBytes, toHex } from '@osguard/formats/bytes';
import { attributeNames, verifyTpmSignature } from '@osguard/formats/tpm2';
import type { ObjectAttribute, TpmPublic } from '@osguard/formats/tpm2';
import type { CheckDefinition } from './check.ts';
import { Refused } from './check.ts';

const needed: readonly ObjectAttribute[] = [
  'restricted',
  'sign',
  'fixedTPM',
  'fixedParent',
  'sensitiveDataOrigin',
];
const forbidden: readonly ObjectAttribute[] = ['decrypt', 'stClear', 'encryptedDuplication', 'x509sign'];

/** Order of the group, big-endian (FIPS 186-5 section 3.2.1). */
const groupOrders = {
  p256: Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex'),
  p384: Buffer.from(
    'ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973',
    'hex',
  ),
} as const;

/** Why a key with this public area may not be an attestation key; undefined when it may. */
export function attestationKeyProblem(
  ak: TpmPublic,
): { message: string; expected: string; found: string } | undefined {
  const { attributes } = ak;
  const missing = needed.filter((name) => !attributes[name]);
  const excess = forbidden.filter((name) => attributes[name]);
  if (missing.length > 0 || excess.length > 0) {
    return {
      message: keyProblemMessage(missing, excess),
      expected: `${needed.join(', ')} and none of ${forbidden.join(', ')}`,
      found: attributeNames(attributes).join(', ') || 'no attributes',
    };
  }
  const signs =
    ak.nameAlg !== 'sha1' &&
    ak.type !== 'keyedhash' &&
    ak.symmetric === null &&
    ak.scheme !== null &&
    ak.scheme.name !== 'oaep' &&
    ak.scheme.name !== 'ecdh' &&
    ak.scheme.hash !== 'sha1';
  if (signs) return undefined;
  const scheme = ak.type === 'keyedhash' ? 'none' : (ak.scheme?.name ?? 'any scheme');
  return {
    message: 'the attestation key is not bound to one signature scheme with a hash that holds',
    expected: 'RSASSA, RSAPSS or ECDSA with SHA-256 or longer',
    found: `${ak.type}, ${scheme}, names by ${ak.nameAlg}`,
  };
}

function keyProblemMessage(missing: readonly ObjectAttribute[], excess: readonly ObjectAttribute[]): string {
  if (missing.includes('restricted'))
    return 'the attestation key signs anything it is given: a quote of it proves nothing';
  if (missing.includes('fixedTPM') || missing.includes('fixedParent')) {
    return 'the attestation key can leave its TPM: a quote of it may come from anywhere';
  }
  if (missing.includes('sensitiveDataOrigin')) return 'the attestation key was not made inside the TPM';
  if (missing.includes('sign')) return 'the attestation key does not sign';
  return `the attestation key may do more than sign: ${excess.join(', ')}`;
}

export const attestationKeyChecks: readonly CheckDefinition[] = [
  {
    id: 'ak-name',
    claim: 'the attestation key is the one that was enrolled',
    run({ key: { name }, node }) {
      if (name === node.akName) return;
      throw new Refused('the attestation key is not the one that was bound to the TPM at enrolment', {
        expected: node.akName,
        found: name,
      });
    },
  },
  {
    id: 'ak-attributes',
    claim: 'the attestation key can only sign what its own TPM says about itself',
    run({ key }) {
      const problem = attestationKeyProblem(key.area);
      if (problem !== undefined) throw new Refused(problem.message, problem);
    },
  },
  {
    id: 'signature-format',
    claim: 'the signature has the one form its scheme has',
    run({ signature, key: { area } }) {
      if (signature.scheme !== 'ecdsa') return;
      if (area.type !== 'ecc') return;
      const order = groupOrders[area.curve];
      for (const [name, value] of [
        ['r', signature.r],
        ['s', signature.s],
      ] as const) {
        if (isBelow(value, order) && value.some((byte) => byte !== 0)) continue;
        throw new Refused(`${name} of the signature is not between 1 and the order of the curve`, {
          found: toHex(value),
          where: 'signature',
        });
      }
    },
  },
  {
    id: 'quote-signature',
    claim: 'the quote is signed by the attestation key',
    run({ key, signature, evidence }) {
      if (verifyTpmSignature(key.area, signature, evidence.quote)) return;
      throw new Refused(
        'the signature over the quote does not verify with the attestation key of this node',
        {
          where: 'signature',
        },
      );
    },
  },
];

export const signerCheck: CheckDefinition = {
  id: 'quote-signer',
  claim: 'the quote names the attestation key as its signer',
  run({ key: { qualifiedName }, quote }) {
    if (equalBytes(qualifiedName, quote.qualifiedSigner)) return;
    throw new Refused('the quote names another signer, or the key under another hierarchy', {
      expected: toHex(qualifiedName),
      found: toHex(quote.qualifiedSigner),
      where: 'quote',
    });
  },
};

function isBelow(value: Uint8Array, order: Buffer): boolean {
  if (value.length >= order.length) return value.length === order.length && Buffer.compare(value, order) < 0;
  const padded = Buffer.alloc(order.length);
  padded.set(value, order.length - value.length);
  return Buffer.compare(padded, order) < 0;
}
