/** Attestation results as signed tokens: EAR claims (draft-ietf-rats-ear-04) in a JWT (RFC 7519), ES256 (RFC 7518). */

/** Makes tokens. `sign` gives the 64 bytes r‖s over SHA-256 of the input (RFC 7518 section 3.4). */
export interface TokenSigner {
  readonly kid: string;
  readonly publicKey: JsonWebKeyP256;
  sign(input: Uint8Array): Uint8Array;
}

/** RFC 7517; `kid` is the thumbprint (RFC 7638). */
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

export const earProfile = 'tag:ietf.org,2026:rats/ear#04';
/** The one submodule of a result. */
export const submodule = 'osguard-host';

/** What a relying party reads. Times are seconds since 1970, as JWT has them. */
export interface VerdictClaims {
  readonly eat_profile: typeof earProfile;
  readonly iss: string;
  readonly aud?: string | undefined;
  /** The node id. */
  readonly sub: string;
  readonly iat: number;
  readonly exp: number;
  readonly jti: string;
  /** base64url of the nonce the quote was made for. */
  readonly eat_nonce: string;
  /** RFC 7800: the TLS key the quote was made for. Only who holds it is the node. */
  readonly cnf: {
    readonly jwk: { readonly kty: 'EC'; readonly crv: 'P-256'; readonly x: string; readonly y: string };
  };
  readonly ear_verifier_id: { readonly developer: string; readonly build: string };
  readonly submods: {
    readonly [submodule]: {
      readonly ear_status: 'affirming';
      /** draft-ietf-rats-ar4si: what is affirmed; what is not named is not claimed. */
      readonly ear_trustworthiness_vector: Readonly<Record<string, number>>;
      readonly ear_appraisal_policy_ids: readonly string[];
      readonly ear_attester_claims: {
        readonly release: { readonly name: string; readonly version: string; readonly id: string };
      };
    };
  };
}
