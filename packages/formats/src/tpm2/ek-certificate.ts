/**
 * Endorsement key certificates (TCG EK Credential Profile for TPM Family 2.0, version 2.5, section 3): an X.509
 * certificate whose subject alternative name says which TPM it belongs to.
 */

import { FormatError } from '../bytes/index.ts';
import { DerReader, derTag } from '../der/index.ts';
import { isAuthority, parseCertificate, parseName } from '../x509/index.ts';
import type { Certificate } from '../x509/index.ts';

/** tcg-kp-EKCertificate: the extended key usage of an endorsement key (section 3.2.16). */
export const ekCertificateUsage = '2.23.133.8.1';

/** Attribute types of section 3.1.2. */
export const tpmAttributeOids = {
  manufacturer: '2.23.133.2.1',
  model: '2.23.133.2.2',
  version: '2.23.133.2.3',
} as const;

const subjectAltName = '2.5.29.17';
const extendedKeyUsage = '2.5.29.37';
const directoryName = 0xa4;
const mostUsages = 16;
const mostNames = 16;

export interface EkCertificate {
  readonly certificate: Certificate;
  /** `id:` and eight hexadecimal digits, as the certificate has it; undefined when it does not say. */
  readonly manufacturer: string | undefined;
  readonly model: string | undefined;
  /** Firmware version, `id:` and hexadecimal digits. */
  readonly version: string | undefined;
  /** Object identifiers, dotted; empty when the certificate has no such extension. */
  readonly extendedKeyUsages: readonly string[];
  /** True for a certificate authority, which an endorsement key never is. */
  readonly authority: boolean;
}

/**
 * The certificate as a TPM's NV index holds it: DER, perhaps followed by padding. Nothing is verified here.
 *
 * @throws FormatError when it is no certificate, or followed by anything else than padding.
 */
export function parseEkCertificate(bytes: Uint8Array): EkCertificate {
  const certificate = parseCertificate(trimCertificatePadding(bytes));
  const tpm = new Map(readDirectoryNames(certificate).map(({ oid, value }) => [oid, value]));
  return {
    certificate,
    manufacturer: tpm.get(tpmAttributeOids.manufacturer),
    model: tpm.get(tpmAttributeOids.model),
    version: tpm.get(tpmAttributeOids.version),
    extendedKeyUsages: readUsages(certificate),
    authority: isAuthority(certificate),
  };
}

/** The certificate without the 0xff or 0x00 bytes with which an NV index is filled up. */
export function trimCertificatePadding(bytes: Uint8Array): Uint8Array {
  const { bytes: der } = new DerReader(bytes).element(derTag.sequence, 'certificate');
  const padding = bytes.subarray(der.length);
  const [first] = padding;
  if (first !== undefined && ((first !== 0xff && first !== 0) || padding.some((byte) => byte !== first))) {
    throw new FormatError('malformed', 'something follows the certificate that is not padding', {
      offset: der.length,
    });
  }
  return der;
}

function readDirectoryNames(certificate: Certificate): ReturnType<typeof parseName> {
  const extension = extensionOf(certificate, subjectAltName);
  if (extension === undefined) return [];
  const outer = new DerReader(extension);
  const names = outer.sequence('subject alternative name');
  outer.end('subject alternative name');
  const found: ReturnType<typeof parseName>[number][] = [];
  for (let count = 0; !names.done; count += 1) {
    if (count === mostNames) throw new FormatError('too-large', `more than ${mostNames} alternative names`);
    const name = names.any('alternative name');
    if (name.tag === directoryName) found.push(...parseName(name.content));
  }
  return found;
}

function readUsages(certificate: Certificate): string[] {
  const extension = extensionOf(certificate, extendedKeyUsage);
  if (extension === undefined) return [];
  const outer = new DerReader(extension);
  const usages = outer.sequence('extended key usage');
  outer.end('extended key usage');
  const found: string[] = [];
  while (!usages.done) {
    if (found.length === mostUsages) throw new FormatError('too-large', `more than ${mostUsages} key usages`);
    found.push(usages.oid('key usage'));
  }
  return found;
}

function extensionOf(certificate: Certificate, oid: string): Uint8Array | undefined {
  return certificate.extensions.find((extension) => extension.oid === oid)?.value;
}
