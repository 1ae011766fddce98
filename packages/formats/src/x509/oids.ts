/** Object identifiers of the algorithms osguard signs and verifies with (RFC 8017 appendix C, RFC 5480, RFC 5754). */

export type DigestAlgorithm = 'sha256' | 'sha384' | 'sha512';
export type KeyKind = 'rsa' | 'ec';

export const digestOids: Readonly<Record<DigestAlgorithm, string>> = {
  sha256: '2.16.840.1.101.3.4.2.1',
  sha384: '2.16.840.1.101.3.4.2.2',
  sha512: '2.16.840.1.101.3.4.2.3',
};

/** Names for messages about what is refused. */
export const refusedDigestOids: Readonly<Record<string, string>> = {
  '1.2.840.113549.2.5': 'MD5',
  '1.3.14.3.2.26': 'SHA-1',
};

export const rsaEncryption = '1.2.840.113549.1.1.1';
export const ecPublicKey = '1.2.840.10045.2.1';

export const signatureOids: Readonly<Record<KeyKind, Readonly<Record<DigestAlgorithm, string>>>> = {
  rsa: {
    sha256: '1.2.840.113549.1.1.11',
    sha384: '1.2.840.113549.1.1.12',
    sha512: '1.2.840.113549.1.1.13',
  },
  ec: {
    sha256: '1.2.840.10045.4.3.2',
    sha384: '1.2.840.10045.4.3.3',
    sha512: '1.2.840.10045.4.3.4',
  },
};

export const digestAlgorithms: readonly DigestAlgorithm[] = ['sha256', 'sha384', 'sha512'];

export function digestOf(oid: string): DigestAlgorithm | undefined {
  return digestAlgorithms.find((name) => digestOids[name] === oid);
}

/** What a signature algorithm identifier says: the key it needs and, unless it leaves that open, the digest. */
export function signatureKind(
  oid: string,
): { readonly key: KeyKind; readonly digest: DigestAlgorithm | undefined } | undefined {
  if (oid === rsaEncryption) return { key: 'rsa', digest: undefined };
  if (oid === ecPublicKey) return { key: 'ec', digest: undefined };
  for (const key of ['rsa', 'ec'] as const) {
    const digest = digestAlgorithms.find((name) => signatureOids[key][name] === oid);
    if (digest !== undefined) return { key, digest };
  }
  return undefined;
}
