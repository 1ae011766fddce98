/** The names of the checks, in the order in which they are made. They are API: logs, metrics and the negative suite use them. */

/**
 * Who speaks, to whom and when: as long as one of these has not held, the evidence may be anybody's and says nothing
 * about the node it names.
 */
export const authenticationIds = [
  'evidence-format',
  'node-known',
  'nonce-known',
  'nonce-purpose',
  'nonce-node',
  'nonce-unused',
  'nonce-fresh',
  'tls-key',
  'ak-name',
  'ak-attributes',
  'signature-format',
  'quote-signature',
  'quote-magic',
  'quote-type',
  'quote-format',
  'quote-signer',
  'quote-extra-data',
] as const;

/** What the machine says it booted, and whether that is allowed. */
export const appraisalIds = [
  'node-state',
  'quote-bank',
  'quote-selection',
  'pcr-values',
  'pcr-digest',
  'quote-clock',
  'log-format',
  'log-locality',
  'log-separators',
  'userspace-log',
  'log-unmeasured',
  'log-replay',
  'log-event-data',
  'release-known',
  'secure-boot',
  'secure-boot-keys',
  'secure-boot-dbx',
  'boot-authority',
  'firmware-rules',
  'release-measurements',
  'release-state',
  'release-time',
  'release-rollback',
] as const;

export const checkIds: readonly CheckId[] = [...authenticationIds, ...appraisalIds];

export type CheckId = (typeof authenticationIds)[number] | (typeof appraisalIds)[number];
