/** One signature of one layer, judged as the kernel of a host that trusts these certificates would, and stricter. */

import { equalBytes, FormatError } from '@osguard/formats/bytes';
import { allSignersGood, parseSignedData, verifyRootHashSignature } from '@osguard/formats/cms';
import type { SignedData, SignerInfo } from '@osguard/formats/cms';
import { extensionOids } from '@osguard/formats/x509';
import type { Certificate } from '@osguard/formats/x509';
import type { Keyring, KeyringEntry } from '@osguard/keys';

/** Why a layer, or an image, is refused. Stable names. */
export type RefusalReason =
  /** The tag pointed at another image when it was signed, or points at another than the digest beside it. */
  | 'tag-moved'
  /** Nobody published a signature for this layer. */
  | 'signature-missing'
  /** The message is no detached PKCS #7 over plain data, or uses what the kernel refuses. */
  | 'signature-malformed'
  /** The message is not over the root hash it is published for. */
  | 'signature-invalid'
  /** The signature is good, but of the root hash of another layer. */
  | 'signature-of-another-layer'
  /** Well signed, but not the root hash this layer gives. */
  | 'root-hash-differs'
  /** Signed with a key whose certificate is not in the trust folder. */
  | 'certificate-unknown'
  /** Signed by somebody trusted for something else. */
  | 'certificate-wrong-role'
  /** Signed with a certificate that is not valid (any more, or yet). */
  | 'certificate-expired'
  /** The layer cannot be converted, so nobody can know its root hash. */
  | 'layer-unreadable';

export interface SignatureVerdict {
  readonly ok: boolean;
  readonly reason?: RefusalReason;
  /** What was found, for people. */
  readonly found: string;
  readonly signer?: string;
}

export interface JudgeOptions {
  readonly trust: Keyring;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** What the layer really gives. */
  readonly rootHash: string;
  /** Root hashes known to be of other layers, with what they are of. */
  readonly others: ReadonlyMap<string, string>;
}

/** `claimed` is the root hash the signature was published with. */
export function judgeSignature(
  message: Uint8Array,
  claimed: string,
  options: JudgeOptions,
): SignatureVerdict {
  const { trust, at, rootHash, others } = options;
  const parsed = readMessage(message);
  if (typeof parsed === 'string') return refused('signature-malformed', parsed);
  const { info } = parsed;
  const entry = trust.entries.find(({ certificate }) => isNamed(info, certificate));
  if (entry === undefined) return refused('certificate-unknown', describeStranger(parsed.data));
  const signer = entry.certificate.subjectText;
  if (entry.role !== 'layers') {
    return refused('certificate-wrong-role', `${signer} signs as ${entry.role}`, signer);
  }
  const results = verifyRootHashSignature(message, claimed, { trusted: [entry.certificate] });
  if (!allSignersGood(results)) return notOverClaimed(message, entry, options);
  if (claimed !== rootHash) {
    const of = others.get(claimed);
    return of === undefined
      ? refused('root-hash-differs', `${signer} signed ${claimed}`, signer)
      : refused('signature-of-another-layer', `${claimed} is the root hash of ${of}`, signer);
  }
  const { notBefore, notAfter } = entry.certificate;
  if (at < notBefore || at > notAfter) {
    const period = `${new Date(notBefore).toISOString()} to ${new Date(notAfter).toISOString()}`;
    return refused('certificate-expired', `${signer} is valid from ${period}`, signer);
  }
  return { ok: true, found: `signed by ${signer}`, signer };
}

function notOverClaimed(
  message: Uint8Array,
  { certificate }: KeyringEntry,
  { others }: JudgeOptions,
): SignatureVerdict {
  const signer = certificate.subjectText;
  for (const [rootHash, of] of others) {
    if (allSignersGood(verifyRootHashSignature(message, rootHash, { trusted: [certificate] }))) {
      return refused('signature-of-another-layer', `signed over ${rootHash}, the root hash of ${of}`, signer);
    }
  }
  return refused('signature-invalid', `does not verify with the key of ${signer}`, signer);
}

function refused(reason: RefusalReason, found: string, signer?: string): SignatureVerdict {
  return { ok: false, reason, found, ...(signer !== undefined && { signer }) };
}

/** The message and its only signer, or why the kernel would not take it. */
function readMessage(message: Uint8Array): { readonly data: SignedData; readonly info: SignerInfo } | string {
  try {
    const data = parseSignedData(message);
    // Also refuses content inside and other content types.
    verifyRootHashSignature(message, '0'.repeat(64), { trusted: [] });
    const [info, ...more] = data.signers;
    if (info === undefined || more.length > 0) return `${data.signers.length} signers, expected one`;
    if (info.attributes !== undefined) return 'signed attributes, which the kernel refuses here';
    return { data, info };
  } catch (error) {
    if (error instanceof FormatError) return error.message;
    throw error;
  }
}

/** Whether the signer of a message says that this is his certificate. */
export function isNamed({ signer }: SignerInfo, certificate: Certificate): boolean {
  if (signer.kind === 'issuer') {
    return equalBytes(certificate.issuer, signer.issuer) && equalBytes(certificate.serial, signer.serial);
  }
  const identifier = certificate.extensions.find(({ oid }) => oid === extensionOids.subjectKeyIdentifier);
  return identifier !== undefined && equalBytes(identifier.value.subarray(2), signer.identifier);
}

function describeStranger({ certificates, signers }: SignedData): string {
  const [first] = certificates;
  if (first !== undefined) return `signed by ${first.subjectText}, who is not in the trust folder`;
  const signer = signers[0]?.signer;
  const serial = signer?.kind === 'issuer' ? Buffer.from(signer.serial).toString('hex') : 'unknown';
  return `signed with the certificate number ${serial}, which is not in the trust folder`;
}

/** The refusal closest to acceptance says most: the further a signature got, the higher. */
const order: readonly RefusalReason[] = [
  'signature-missing',
  'signature-malformed',
  'certificate-unknown',
  'signature-invalid',
  'certificate-wrong-role',
  'signature-of-another-layer',
  'root-hash-differs',
  'certificate-expired',
];

/** Any good signature is enough, as it is for the kernel; otherwise the one that came closest. */
export function bestVerdict(verdicts: readonly SignatureVerdict[]): SignatureVerdict {
  const rank = ({ ok, reason }: SignatureVerdict): number =>
    ok ? order.length : reason === undefined ? -1 : order.indexOf(reason);
  return verdicts.reduce((best, each) => (rank(each) > rank(best) ? each : best), {
    ok: false,
    reason: 'signature-missing',
    found: 'none',
  });
}
