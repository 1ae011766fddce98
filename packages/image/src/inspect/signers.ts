/** Who made a signature, by the certificates that travel with an image. Says nothing about trust. */

import { toHex } from '@osguard/formats/bytes';
import type { SignedData, SignerInfo } from '@osguard/formats/cms';
import { parseSignedData, verifySignedData } from '@osguard/formats/cms';
import { assertAuthenticode, readSignatures, verifyPe } from '@osguard/formats/pe';
import type { PeImage } from '@osguard/formats/pe';
import type { Certificate } from '@osguard/formats/x509';
import { formatName, parseName } from '@osguard/formats/x509';
import type { Findings } from './findings.ts';
import type { SignerReport } from './report.ts';

export interface DescribeSignersOptions {
  /** Certificates found in the image: most of its signatures carry none of their own. */
  readonly known: readonly Certificate[];
  /** The octets of a detached signature. */
  readonly content?: Uint8Array;
}

/** One line a signer of a CMS message. @throws FormatError for names or keys that cannot be read. */
export function describeSigners(
  message: SignedData,
  { known, content }: DescribeSignersOptions,
): readonly SignerReport[] {
  // Whoever is known is taken for trusted here, so that every check but trust says something.
  const results = verifySignedData(message, { trusted: known, ...(content !== undefined && { content }) });
  return message.signers.map((info, index): SignerReport => {
    const { certificate, checks = [] } = results[index] ?? {};
    return {
      names: signerNames(info),
      ...(certificate !== undefined && {
        subject: certificate.subjectText,
        fingerprint: certificate.fingerprint,
        fits: checks.every(({ id, ok }) => ok || id === 'trust'),
      }),
    };
  });
}

function signerNames({ signer }: SignerInfo): string {
  return signer.kind === 'issuer'
    ? `${formatName(parseName(signer.issuer))}, serial ${toHex(signer.serial)}`
    : `key ${toHex(signer.identifier)}`;
}

export interface PeSigners {
  /** SHA-256 Authenticode digest. */
  readonly digest: string | undefined;
  readonly signers: readonly SignerReport[];
  /** Certificates that came with the signatures. */
  readonly certificates: readonly Certificate[];
}

export interface PeSignersOptions {
  readonly where: string;
  readonly findings: Findings;
}

/** The Authenticode signatures of a boot image. */
export function describePeSigners(image: PeImage, { where, findings }: PeSignersOptions): PeSigners {
  const verification = findings.attempt(where, () => verifyPe(image.source, { trusted: [] }));
  const entries = findings.attempt(where, () => readSignatures(image)) ?? [];
  const signers: SignerReport[] = [];
  const certificates: Certificate[] = [];
  for (const [index, entry] of entries.entries()) {
    const checks = verification?.signatures[index]?.checks ?? [];
    const broken = checks.find(({ id, ok }) => id === 'format' && !ok);
    if (broken !== undefined) {
      findings.add(where, `signature ${index + 1}: ${broken.found}`);
      continue;
    }
    const uncovered = checks.find(({ id, ok }) => id === 'coverage' && !ok);
    if (uncovered !== undefined) findings.add(where, `not covered by its signatures: ${uncovered.found}`);
    findings.attempt(where, () => {
      assertAuthenticode(entry);
      const message = parseSignedData(withoutPadding(entry.data));
      const over = checks.every(({ id, ok }) => ok || (id !== 'digest' && id !== 'coverage'));
      certificates.push(...message.certificates);
      for (const signer of describeSigners(message, { known: message.certificates })) {
        signers.push(signer.fits === undefined ? signer : { ...signer, fits: signer.fits && over });
      }
    });
  }
  return { digest: verification?.digest, signers, certificates };
}

/** Some signers count up to seven zeros of padding into the entry: DER says where the message ends. */
function withoutPadding(data: Uint8Array): Uint8Array {
  const long = (data[1] ?? 0) & 0x7f;
  if ((data[1] ?? 0) <= 0x80 || long > 4) return data;
  let length = 0;
  for (const octet of data.subarray(2, 2 + long)) length = length * 256 + octet;
  const end = 2 + long + length;
  const rest = data.subarray(end);
  return rest.length < 8 && rest.every((octet) => octet === 0) ? data.subarray(0, end) : data;
}
