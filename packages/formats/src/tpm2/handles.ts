/** Permanent handles and ranges (TPM 2.0 Library Part 2, section 7). */

export const tpmHandle = {
  owner: 0x4000_0001,
  /** Stands for "no object". */
  null: 0x4000_0007,
  /** Authorization by plain value. */
  password: 0x4000_0009,
  lockout: 0x4000_000a,
  endorsement: 0x4000_000b,
  platform: 0x4000_000c,
} as const;

/** First handle of each kind; the upper 8 bits say which kind a handle is. */
export const handleRange = {
  pcr: 0x0000_0000,
  nvIndex: 0x0100_0000,
  hmacSession: 0x0200_0000,
  policySession: 0x0300_0000,
  transient: 0x8000_0000,
  persistent: 0x8100_0000,
} as const;
