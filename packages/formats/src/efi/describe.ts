/** Key variables for people: one line an entry, so that two databases can be compared line by line. */

import { FormatError, parseGuid, toHex } from '../bytes/index.ts';
import { parseCertificate } from '../x509/index.ts';
import { signatureTypes } from './guids.ts';
import { parseSignatureLists } from './signature-list.ts';

const mostLines = 64;
/** Hex digits of a fingerprint that are shown. */
const shown = 16;

/** The lines of PK, KEK, db or dbx. Never throws: what cannot be read is said to be unreadable. */
export function describeSignatureLists(bytes: Uint8Array): readonly string[] {
  let lines: readonly string[];
  try {
    lines = parseSignatureLists(bytes).flatMap(({ type, signatures }) =>
      signatures.map(({ data }) => describeSignature(type, data)),
    );
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return [`unreadable: ${error.message}`];
  }
  return lines.length <= mostLines
    ? lines
    : [...lines.slice(0, mostLines), `and ${lines.length - mostLines} more`];
}

/** The content of an EV_EFI_VARIABLE_AUTHORITY event of db: one EFI_SIGNATURE_DATA with a certificate. */
export function describeAuthority(bytes: Uint8Array): string {
  if (bytes.length < 16) return `unreadable: ${bytes.length} bytes`;
  const certificate = describeSignature(signatureTypes.x509, bytes.subarray(16));
  return `${certificate}, entered by ${parseGuid(bytes)}`;
}

function describeSignature(type: string, data: Uint8Array): string {
  if (type === signatureTypes.sha256) return `digest ${toHex(data)}`;
  if (type !== signatureTypes.x509) return `${data.length} bytes of type ${type}`;
  try {
    const { subjectText, fingerprint } = parseCertificate(data);
    return `${subjectText}, sha256 ${fingerprint.slice(0, shown)}…`;
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return `unreadable certificate of ${data.length} bytes`;
  }
}
