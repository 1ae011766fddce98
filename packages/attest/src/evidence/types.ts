/** What a node hands in, decoded from JSON but not believed. */

export const evidenceSchemaName = 'osguard/evidence/v1';

export interface Evidence {
  /** The node it claims to be: SHA-256 of the EK's public area, lower-case hex. */
  readonly node: string;
  /** 32 bytes. */
  readonly nonce: Uint8Array;
  /** TPMS_ATTEST (TPM 2.0 Part 2 section 10.12.8), as signed. */
  readonly quote: Uint8Array;
  /** TPMT_SIGNATURE (Part 2 section 11.3.4). */
  readonly signature: Uint8Array;
  /** Values of the SHA-256 bank by PCR index, lower-case hex, in ascending order. */
  readonly pcrs: ReadonlyMap<number, string>;
  /** TCG event log as the kernel shows it (binary_bios_measurements). */
  readonly firmwareLog: Uint8Array;
  /** Log of systemd-pcrextend and its like, JSON sequence (RFC 7464) or lines. */
  readonly userspaceLog: string;
  /** SubjectPublicKeyInfo of the key the node speaks TLS with, DER. */
  readonly tlsKey: Uint8Array;
  /** What the kernel says it was started with; a hint for explanations that counts only where a digest proves it. */
  readonly commandLine?: string | undefined;
  readonly agent: { readonly version: string };
}
