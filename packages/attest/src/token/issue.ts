/** From a trusted verdict to a token. There is no token for a refusal. */

import { AttestError } from '../error.ts';
import type { Verdict } from '../verify/types.ts';
import { coordinatesOf } from './keys.ts';
import type { TokenSigner, VerdictClaims } from './types.ts';
import { earProfile, submodule } from './types.ts';

export interface IssueOptions {
  readonly signer: TokenSigner;
  /** URL of the verifier. */
  readonly issuer: string;
  readonly audience?: string | undefined;
  readonly node: string;
  readonly nonce: Uint8Array;
  /** SubjectPublicKeyInfo, P-256. */
  readonly tlsKey: Uint8Array;
  /** Unique; random. */
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Milliseconds. */
  readonly lifetime: number;
  /** Of the policy. */
  readonly policyName: string;
  /** A manufacturer certified the TPM; with an operator's list alone nothing is claimed of the hardware. */
  readonly endorsement: 'certificate' | 'allow-list';
  /** Version of the verifier. */
  readonly build: string;
}

export interface VerdictToken {
  /** JWS compact serialization (RFC 7515 section 3.1). */
  readonly token: string;
  /** Milliseconds since 1970, whole seconds. */
  readonly expires: number;
}

/**
 * Tiers of draft-ietf-rats-ar4si section 2.3: a genuine instance (2), an approved configuration (2), and that only
 * approved executables were loaded while booting (3); what ran after that is the kernel's matter and not in the quote.
 */
const vector = { 'instance-identity': 2, configuration: 2, executables: 3 } as const;
const genuineHardware = { hardware: 2 } as const;

/** @throws AttestError (`token`) when the verdict is not `trusted` or the TLS key is not on P-256. */
export function issueToken(verdict: Verdict, options: IssueOptions): VerdictToken {
  const { signer, issuer, audience, node, now, endorsement } = options;
  if (verdict.verdict !== 'trusted' || verdict.release === undefined) {
    throw new AttestError('token', 'only a trusted node gets a token');
  }
  const point = coordinatesOf(options.tlsKey);
  if (point === undefined)
    throw new AttestError('token', 'the TLS key of the node is not on the curve P-256');
  const iat = Math.floor(now / 1000);
  const exp = iat + Math.max(1, Math.floor(options.lifetime / 1000));
  const claims: VerdictClaims = {
    eat_profile: earProfile,
    iss: issuer,
    ...(audience !== undefined && { aud: audience }),
    sub: node,
    iat,
    exp,
    jti: options.id,
    eat_nonce: Buffer.from(options.nonce).toString('base64url'),
    cnf: { jwk: { kty: 'EC', crv: 'P-256', ...point } },
    ear_verifier_id: { developer: 'osguard', build: options.build },
    submods: {
      [submodule]: {
        ear_status: 'affirming',
        ear_trustworthiness_vector:
          endorsement === 'certificate' ? { ...vector, ...genuineHardware } : vector,
        ear_appraisal_policy_ids: [`urn:osguard:policy:${options.policyName}`],
        ear_attester_claims: { release: verdict.release },
      },
    },
  };
  const input = `${headerOf(signer)}.${encode(claims)}`;
  const signature = signer.sign(Buffer.from(input, 'latin1'));
  return { token: `${input}.${Buffer.from(signature).toString('base64url')}`, expires: exp * 1000 };
}

const headers = new WeakMap<TokenSigner, string>();

/** The same for every token of a signer. */
function headerOf(signer: TokenSigner): string {
  let header = headers.get(signer);
  if (header === undefined) {
    header = encode({ alg: 'ES256', kid: signer.kid, typ: 'eat+jwt' });
    headers.set(signer, header);
  }
  return header;
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value), 'utf8').toString('base64url');
}
