/**
 * Templates of endorsement keys (TCG EK Credential Profile for TPM Family 2.0, version 2.5, appendix B) and of the
 * attestation key osguard uses. The same template in the same hierarchy gives the same key until the TPM is cleared
 * (owner) or its endorsement seed changed.
 */

import { fromHex } from '../bytes/index.ts';
import { objectAttributes } from './attributes.ts';
import type { TpmEccPublic, TpmPublic, TpmRsaPublic } from './public-area.ts';

/** PolicyA of the profile: PolicySecret with the endorsement hierarchy (section B.6.2). */
export const ekPolicyASha256: Uint8Array = fromHex(
  '837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa',
);
/** PolicyB: PolicyA or the policy an administrator stored in NV (section B.6.5). */
export const ekPolicyBSha256: Uint8Array = fromHex(
  'ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0',
);
export const ekPolicyBSha384: Uint8Array = fromHex(
  'b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12',
);

const lowAttributes = objectAttributes(
  'fixedTPM',
  'fixedParent',
  'sensitiveDataOrigin',
  'adminWithPolicy',
  'restricted',
  'decrypt',
);
const highAttributes = { ...lowAttributes, userWithAuth: true };
const aes128 = { algorithm: 'aes', keyBits: 128, mode: 'cfb' } as const;
const aes256 = { algorithm: 'aes', keyBits: 256, mode: 'cfb' } as const;
const none = new Uint8Array(0);

const low = {
  nameAlg: 'sha256',
  attributes: lowAttributes,
  authPolicy: ekPolicyASha256,
  scheme: null,
} as const;
const high256 = {
  nameAlg: 'sha256',
  attributes: highAttributes,
  authPolicy: ekPolicyBSha256,
  symmetric: aes128,
  scheme: null,
} as const;
const high384 = {
  nameAlg: 'sha384',
  attributes: highAttributes,
  authPolicy: ekPolicyBSha384,
  symmetric: aes256,
  scheme: null,
} as const;

/** L-1: RSA 2048. */
export const ekTemplateRsa2048: TpmRsaPublic = {
  type: 'rsa',
  ...low,
  symmetric: aes128,
  keyBits: 2048,
  exponent: 0,
  modulus: new Uint8Array(256),
};
/** L-2: ECC P-256. */
export const ekTemplateP256: TpmEccPublic = {
  type: 'ecc',
  ...low,
  symmetric: aes128,
  curve: 'p256',
  x: new Uint8Array(32),
  y: new Uint8Array(32),
};

export interface EkProfile {
  /** As the profile calls it. */
  readonly id: 'L-1' | 'L-2' | 'H-1' | 'H-2' | 'H-3' | 'H-6' | 'H-7';
  /** NV index of the certificate. */
  readonly certificateIndex: number;
  readonly template: TpmPublic;
}

/** Section B.2 to B.4: every template whose algorithms are read here, in the order they are tried. */
export const ekProfiles: readonly EkProfile[] = [
  { id: 'L-1', certificateIndex: 0x01c0_0002, template: ekTemplateRsa2048 },
  { id: 'L-2', certificateIndex: 0x01c0_000a, template: ekTemplateP256 },
  { id: 'H-1', certificateIndex: 0x01c0_0012, template: highRsa(high256, 2048) },
  { id: 'H-2', certificateIndex: 0x01c0_0014, template: highEcc(high256, 'p256') },
  { id: 'H-3', certificateIndex: 0x01c0_0016, template: highEcc(high384, 'p384') },
  { id: 'H-6', certificateIndex: 0x01c0_001c, template: highRsa(high384, 3072) },
  { id: 'H-7', certificateIndex: 0x01c0_001e, template: highRsa(high384, 4096) },
];

/** NV indices at which a manufacturer may leave the rest of the chain (section 2.2.1.5.2). */
export const ekChainIndices = { first: 0x01c0_0100, last: 0x01c0_01ff } as const;

function highRsa(common: typeof high256 | typeof high384, keyBits: TpmRsaPublic['keyBits']): TpmRsaPublic {
  return { type: 'rsa', ...common, keyBits, exponent: 0, modulus: none };
}

function highEcc(common: typeof high256 | typeof high384, curve: TpmEccPublic['curve']): TpmEccPublic {
  return { type: 'ecc', ...common, curve, x: none, y: none };
}

/**
 * The attestation key: ECC P-256, ECDSA with SHA-256, restricted to signing what this TPM says about itself. Its
 * authorization value is empty, so there is nothing to guess; without `noDA` every power cut after a quote would count as
 * a wrong guess (Part 1, section 19.8.6) and in the end lock the key.
 */
export const akTemplateP256: TpmEccPublic = {
  type: 'ecc',
  nameAlg: 'sha256',
  attributes: objectAttributes(
    'fixedTPM',
    'fixedParent',
    'sensitiveDataOrigin',
    'userWithAuth',
    'noDA',
    'restricted',
    'sign',
  ),
  authPolicy: none,
  symmetric: null,
  scheme: { name: 'ecdsa', hash: 'sha256' },
  curve: 'p256',
  x: new Uint8Array(32),
  y: new Uint8Array(32),
};

/** A storage root key (TCG TPM v2.0 Provisioning Guidance, section 7.5.1): parent of sealed data. */
export const srkTemplateP256: TpmEccPublic = {
  type: 'ecc',
  nameAlg: 'sha256',
  attributes: objectAttributes(
    'fixedTPM',
    'fixedParent',
    'sensitiveDataOrigin',
    'userWithAuth',
    'noDA',
    'restricted',
    'decrypt',
  ),
  authPolicy: none,
  symmetric: aes128,
  scheme: null,
  curve: 'p256',
  x: new Uint8Array(32),
  y: new Uint8Array(32),
};
