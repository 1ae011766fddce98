/**
 * What a TPM manufacturer does: an authority that vouches for the endorsement keys of virtual TPMs (TCG EK Credential
 * Profile for TPM Family 2.0, version 2.5, section 3.2). Its certificate is what a verifier is told to trust.
 */

import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
} from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  derBitString,
  derBoolean,
  derContext,
  derElement,
  derOctetString,
  derOid,
  derSequence,
  derSetOf,
  derUtf8String,
} from '@osguard/formats/der';
import { ekCertificateUsage, publicAreaSpki, tpmAttributeOids } from '@osguard/formats/tpm2';
import type { TpmPublic } from '@osguard/formats/tpm2';
import {
  decodePem,
  encodePem,
  extensionOids,
  keyUsageAuthority,
  parseCertificate,
  planCertificate,
} from '@osguard/formats/x509';
import type { CertificatePlan } from '@osguard/formats/x509';
import { MachineError } from '../error.ts';

export interface TpmAuthority {
  /** Self-signed, DER: the root a verifier trusts. */
  readonly certificate: Uint8Array;
  /** The certificate of an endorsement key, DER. */
  issue(ek: TpmPublic): Uint8Array;
}

const day = 86_400_000;
const years = 3650 * day;
const keyEncipherment = { bits: 0x20, unused: 5 };
const keyAgreement = { bits: 0x08, unused: 3 };

/** File of the authority's certificate inside its folder. */
export const authorityCertificateFile = 'tpm-authority.pem';
const keyFile = 'tpm-authority.key';

export interface AuthorityOptions {
  /** Milliseconds since 1970; the present unless given. */
  readonly now?: number;
}

/** The authority kept in this folder; made when there is none. @throws MachineError (`bad-option`) when half of it is gone. */
export function openTpmAuthority(folder: string, options: AuthorityOptions = {}): TpmAuthority {
  const certificatePath = join(folder, authorityCertificateFile);
  const keyPath = join(folder, keyFile);
  if (!existsSync(certificatePath)) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const { certificate, privateKey } = makeAuthority(options);
    writeFileSync(keyPath, privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
    // The certificate comes last: with it the authority is whole.
    writeFileSync(`${certificatePath}.new`, encodePem('CERTIFICATE', certificate));
    renameSync(`${certificatePath}.new`, certificatePath);
  }
  const [certificate] = decodePem('CERTIFICATE', readFileSync(certificatePath, 'utf8'));
  if (certificate === undefined || !existsSync(keyPath)) {
    throw new MachineError('bad-option', `the TPM authority in ${folder} is not whole`, {
      hint: `remove ${certificatePath}; TPMs it vouched for are then strangers`,
    });
  }
  return authority(certificate, createPrivateKey(readFileSync(keyPath)), options);
}

/** An authority that is gone with this process. */
export function temporaryTpmAuthority(options: AuthorityOptions = {}): TpmAuthority {
  const { certificate, privateKey } = makeAuthority(options);
  return authority(certificate, privateKey, options);
}

function makeAuthority({ now = Date.now() }: AuthorityOptions): {
  readonly certificate: Uint8Array;
  readonly privateKey: KeyObject;
} {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  const plan = planCertificate({
    // The name is part of how a chain is found, so no two authorities share one.
    commonName: `osguard virtual TPMs ${randomBytes(4).toString('hex')}`,
    serial: serial(),
    notBefore: now - day,
    notAfter: now + years,
    publicKey: spki,
    keyKind: 'ec',
    digestAlgorithm: 'sha256',
    extensions: [
      { oid: extensionOids.basicConstraints, critical: true, value: derSequence(derBoolean(true)) },
      {
        oid: extensionOids.keyUsage,
        critical: true,
        value: derBitString(Uint8Array.of(keyUsageAuthority), 1),
      },
      { oid: extensionOids.subjectKeyIdentifier, critical: false, value: derOctetString(identifier(spki)) },
    ],
  });
  return { certificate: finish(plan, privateKey), privateKey };
}

function authority(certificate: Uint8Array, privateKey: KeyObject, options: AuthorityOptions): TpmAuthority {
  const { subject, notAfter } = parseCertificate(certificate);
  const own = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  return {
    certificate,
    issue(ek) {
      const { now = Date.now() } = options;
      const publicKey = publicAreaSpki(ek);
      const usage = ek.type === 'rsa' ? keyEncipherment : keyAgreement;
      const plan = planCertificate({
        commonName: `virtual TPM ${identifier(publicKey).subarray(0, 4).toString('hex')}`,
        serial: serial(),
        notBefore: now - day,
        notAfter: Math.min(now + years, notAfter),
        publicKey,
        keyKind: ek.type === 'rsa' ? 'rsa' : 'ec',
        digestAlgorithm: 'sha256',
        issuer: { name: subject, keyKind: 'ec' },
        extensions: [
          { oid: extensionOids.basicConstraints, critical: true, value: derSequence() },
          {
            oid: extensionOids.keyUsage,
            critical: true,
            value: derBitString(Uint8Array.of(usage.bits), usage.unused),
          },
          {
            oid: extensionOids.extendedKeyUsage,
            critical: false,
            value: derSequence(derOid(ekCertificateUsage)),
          },
          { oid: extensionOids.subjectAltName, critical: false, value: tpmName() },
          {
            oid: extensionOids.authorityKeyIdentifier,
            critical: false,
            value: derSequence(derElement(0x80, identifier(own))),
          },
        ],
      });
      return finish(plan, privateKey);
    },
  };
}

/** A directory name with the three attributes of section 3.1.2, as swtpm's own tools write them. */
function tpmName(): Uint8Array {
  const { manufacturer, model, version } = tpmAttributeOids;
  const attributes = [
    [manufacturer, 'id:00001014'],
    [model, 'swtpm'],
    [version, 'id:20191023'],
  ] as const;
  const names = attributes.map(([oid, text]) => derSetOf(derSequence(derOid(oid), derUtf8String(text))));
  return derSequence(derContext(4, derSequence(...names)));
}

function finish(plan: CertificatePlan, key: KeyObject): Uint8Array {
  return plan.finish(sign('sha256', plan.toSign, key));
}

function serial(): Uint8Array {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes;
}

function identifier(spki: Uint8Array): Buffer {
  return createHash('sha256').update(spki).digest().subarray(0, 20);
}
