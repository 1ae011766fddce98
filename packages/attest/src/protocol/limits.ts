/** Sizes and counts that both sides keep to. Bytes unless the name says otherwise. */

export const limits = {
  /** Of any request body that is not evidence or a release. */
  body: 65_536,
  /** Of the evidence message: both logs, the larger one in base64. */
  evidenceBody: 1_048_576,
  releaseBody: 8_388_608,
  secret: 32_768,
  /** Characters of a verdict token. */
  token: 8192,
  /** Nodes, labels or releases a secret is limited to, each; labels of a node. */
  scope: 64,
  firmwareLog: 524_288,
  /** UTF-16 units. */
  userspaceLog: 262_144,
  /** UTF-16 units. */
  commandLine: 65_536,
  tpmPublic: 2048,
  quote: 2048,
  signature: 1024,
  certificate: 8_192,
  /** Certificates of a chain, leaf included. */
  certificates: 8,
  nonce: 32,
  tlsKey: 1024,
} as const;
