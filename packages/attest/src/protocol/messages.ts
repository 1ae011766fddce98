/**
 * What a node and the verifier say to each other. Bytes are standard base64, digests and PCR values lower-case hex.
 * Answers are read leniently (a newer verifier may say more), requests strictly.
 */

import { z } from 'zod';
import { base64, nodeId, pcrValues, time, word } from './fields.ts';
import { limits } from './limits.ts';

export const evidenceSchemaName = 'osguard/evidence/v1';

/** TPMT_PUBLIC of endorsement and attestation key, and the endorsement key's certificates, leaf first. */
export interface EnrolmentRequest {
  readonly ek: string;
  readonly ekCertificates: readonly string[];
  readonly ak: string;
  /** What people call the machine; proves nothing. */
  readonly name: string;
}

export const enrolmentRequestSchema: z.ZodType<EnrolmentRequest> = z.strictObject({
  ek: base64(limits.tpmPublic),
  ekCertificates: z.array(base64(limits.certificate)).max(limits.certificates),
  ak: base64(limits.tpmPublic),
  name: word,
});

/** TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET for TPM2_ActivateCredential, sizes included. */
export interface EnrolmentAnswer {
  readonly enrolment: string;
  readonly credential: string;
  readonly secret: string;
  readonly expires: string;
}

export const enrolmentAnswerSchema: z.ZodType<EnrolmentAnswer> = z.object({
  enrolment: z.string().regex(/^[A-Za-z0-9_-]{22,64}$/),
  credential: base64(1024),
  secret: base64(2048),
  expires: time,
});

/** What ActivateCredential gave back. */
export interface ActivationRequest {
  readonly secret: string;
}

export const activationRequestSchema: z.ZodType<ActivationRequest> = z.strictObject({ secret: base64(64) });

export interface ActivationAnswer {
  readonly node: string;
}

export const activationAnswerSchema: z.ZodType<ActivationAnswer> = z.object({ node: nodeId });

export interface NonceRequest {
  readonly node: string;
  readonly purpose: 'evidence';
}

export const nonceRequestSchema: z.ZodType<NonceRequest> = z.strictObject({
  node: nodeId,
  purpose: z.literal('evidence'),
});

export interface NonceAnswer {
  /** 32 bytes. */
  readonly nonce: string;
  readonly expires: string;
  /** PCRs of the sha256 bank the quote has to cover, ascending. */
  readonly pcrs: readonly number[];
}

export const nonceAnswerSchema: z.ZodType<NonceAnswer> = z.object({
  nonce: base64(limits.nonce),
  expires: time,
  pcrs: z.array(z.int().min(0).max(23)).max(24),
});

export interface EvidenceMessage {
  readonly schema: typeof evidenceSchemaName;
  readonly node: string;
  readonly nonce: string;
  /** TPMS_ATTEST without a size before it. */
  readonly quote: string;
  /** TPMT_SIGNATURE. */
  readonly signature: string;
  /** By index in decimal. */
  readonly pcrs: { readonly sha256: Readonly<Record<string, string>> };
  /** binary_bios_measurements. */
  readonly firmwareLog: string;
  /** The text of systemd's tpm2-measure.log; empty when there is none. */
  readonly userspaceLog: string;
  /** SubjectPublicKeyInfo of the TLS client key of this connection, DER. */
  readonly tlsKey: string;
  /** /proc/cmdline without its newline: a hint for explanations, believed only where a digest proves it. */
  readonly commandLine?: string | undefined;
  readonly agent: { readonly version: string };
}

export const evidenceMessageSchema: z.ZodType<EvidenceMessage> = z.strictObject({
  schema: z.literal(evidenceSchemaName),
  node: nodeId,
  nonce: base64(limits.nonce),
  quote: base64(limits.quote),
  signature: base64(limits.signature),
  pcrs: z.strictObject({ sha256: pcrValues }),
  firmwareLog: base64(limits.firmwareLog),
  userspaceLog: z.string().max(limits.userspaceLog),
  tlsKey: base64(limits.tlsKey),
  commandLine: z.string().max(limits.commandLine).optional(),
  agent: z.strictObject({ version: z.string().max(64) }),
});

/** One line of the verdict: what was expected, what was found, and where. */
export interface CheckMessage {
  readonly id: string;
  readonly ok: boolean;
  readonly message: string;
  readonly expected?: string | undefined;
  readonly found?: string | undefined;
  readonly where?: string | undefined;
}

export const checkMessageSchema: z.ZodType<CheckMessage> = z.object({
  id: z.string(),
  ok: z.boolean(),
  message: z.string(),
  expected: z.string().optional(),
  found: z.string().optional(),
  where: z.string().optional(),
});

export interface EvidenceAnswer {
  readonly verdict: 'trusted' | 'refused';
  readonly checks: readonly CheckMessage[];
  /** An EAR as a signed JWT; null when refused. */
  readonly token: string | null;
  /** Names of what GET /v1/secrets/NAME delivers on this TLS key. */
  readonly secrets: readonly string[];
  /** From then on the verdict no longer counts; null when refused. */
  readonly expires: string | null;
}

export const evidenceAnswerSchema: z.ZodType<EvidenceAnswer> = z.object({
  verdict: z.enum(['trusted', 'refused']),
  checks: z.array(checkMessageSchema),
  token: z.string().nullable(),
  secrets: z.array(z.string()),
  expires: time.nullable(),
});
