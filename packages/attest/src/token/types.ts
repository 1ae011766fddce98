/** Attestation results as signed tokens: EAR claims (draft-ietf-rats-ear) in a JWT (RFC 7519) signed with ES256. */

/** Makes tokens. `sign` gives the 64 bytes r‖s over SHA-256 of the input (RFC 7518 section 3.4). */
export interface TokenSigner {
  readonly kid: string;
  readonly publicKey: JsonWebKeyP256;
  sign(input: Uint8Array): Uint8Array;
}

export interface JsonWebKeyP256 {
  readonly kty: 'EC';
  readonly crv: 'P-256';
  readonly x: string;
  readonly y: string;
  readonly kid: string;
  readonly alg: 'ES256';
  readonly use: 'sig';
}

export interface JsonWebKeySet {
  readonly keys: readonly JsonWebKeyP256[];
}

export interface VerdictToken {
  readonly token: string;
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly expires: number;
}
