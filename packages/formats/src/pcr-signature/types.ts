/** Signed PCR policies as systemd writes them (systemd-measure(1), UAPI.5 section `.pcrsig`). */

export type PcrSignatureBank = 'sha1' | 'sha256' | 'sha384' | 'sha512';

export const pcrSignatureBanks: readonly PcrSignatureBank[] = ['sha1', 'sha256', 'sha384', 'sha512'];

export interface PcrSignature {
  /** Ascending, each once. */
  readonly pcrs: readonly number[];
  /** SHA-256 of the public key (RSA: RSAPublicKey of PKCS #1 in DER; EC: the uncompressed point), lower-case hex. */
  readonly keyFingerprint: string;
  /** The PolicyPCR digest that is signed; always that of a SHA-256 policy session. Lower-case hex, 32 bytes. */
  readonly policy: string;
  readonly signature: Uint8Array;
}

/** By bank, in the order of the file. */
export type PcrSignatures = Readonly<Partial<Record<PcrSignatureBank, readonly PcrSignature[]>>>;
