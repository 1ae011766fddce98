/** TPM_RC: what a response code means (TPM 2.0 Library Part 2, section 6.6). */

/** Codes of format one (bit 7 set), without handle, session or parameter number (table 17, RC_FMT1). */
const formatOne: readonly (string | undefined)[] = [
  undefined,
  'ASYMMETRIC',
  'ATTRIBUTES',
  'HASH',
  'VALUE',
  'HIERARCHY',
  undefined,
  'KEY_SIZE',
  'MGF',
  'MODE',
  'TYPE',
  'HANDLE',
  'KDF',
  'RANGE',
  'AUTH_FAIL',
  'NONCE',
  'PP',
  undefined,
  'SCHEME',
  undefined,
  undefined,
  'SIZE',
  'SYMMETRIC',
  'TAG',
  'SELECTOR',
  undefined,
  'INSUFFICIENT',
  'SIGNATURE',
  'KEY',
  'POLICY_FAIL',
  undefined,
  'INTEGRITY',
  'TICKET',
  'RESERVED_BITS',
  'BAD_AUTH',
  'EXPIRED',
  'POLICY_CC',
  'BINDING',
  'CURVE',
  'ECC_POINT',
  'FW_LIMITED',
  'SVN_LIMITED',
];

/** Errors of format zero, version 2 (RC_VER1 = 0x100). */
const errors = new Map<number, string>([
  [0x000, 'INITIALIZE'],
  [0x001, 'FAILURE'],
  [0x003, 'SEQUENCE'],
  [0x00b, 'PRIVATE'],
  [0x019, 'HMAC'],
  [0x020, 'DISABLED'],
  [0x021, 'EXCLUSIVE'],
  [0x024, 'AUTH_TYPE'],
  [0x025, 'AUTH_MISSING'],
  [0x026, 'POLICY'],
  [0x027, 'PCR'],
  [0x028, 'PCR_CHANGED'],
  [0x02d, 'UPGRADE'],
  [0x02e, 'TOO_MANY_CONTEXTS'],
  [0x02f, 'AUTH_UNAVAILABLE'],
  [0x030, 'REBOOT'],
  [0x031, 'UNBALANCED'],
  [0x042, 'COMMAND_SIZE'],
  [0x043, 'COMMAND_CODE'],
  [0x044, 'AUTHSIZE'],
  [0x045, 'AUTH_CONTEXT'],
  [0x046, 'NV_RANGE'],
  [0x047, 'NV_SIZE'],
  [0x048, 'NV_LOCKED'],
  [0x049, 'NV_AUTHORIZATION'],
  [0x04a, 'NV_UNINITIALIZED'],
  [0x04b, 'NV_SPACE'],
  [0x04c, 'NV_DEFINED'],
  [0x050, 'BAD_CONTEXT'],
  [0x051, 'CPHASH'],
  [0x052, 'PARENT'],
  [0x053, 'NEEDS_TEST'],
  [0x054, 'NO_RESULT'],
  [0x055, 'SENSITIVE'],
]);

/** Warnings (RC_WARN = 0x900): the command was not done, and may be when tried again. */
const warnings = new Map<number, string>([
  [0x001, 'CONTEXT_GAP'],
  [0x002, 'OBJECT_MEMORY'],
  [0x003, 'SESSION_MEMORY'],
  [0x004, 'MEMORY'],
  [0x005, 'SESSION_HANDLES'],
  [0x006, 'OBJECT_HANDLES'],
  [0x007, 'LOCALITY'],
  [0x008, 'YIELDED'],
  [0x009, 'CANCELED'],
  [0x00a, 'TESTING'],
  [0x010, 'REFERENCE_H0'],
  [0x011, 'REFERENCE_H1'],
  [0x012, 'REFERENCE_H2'],
  [0x013, 'REFERENCE_H3'],
  [0x014, 'REFERENCE_H4'],
  [0x015, 'REFERENCE_H5'],
  [0x016, 'REFERENCE_H6'],
  [0x018, 'REFERENCE_S0'],
  [0x019, 'REFERENCE_S1'],
  [0x01a, 'REFERENCE_S2'],
  [0x01b, 'REFERENCE_S3'],
  [0x01c, 'REFERENCE_S4'],
  [0x01d, 'REFERENCE_S5'],
  [0x01e, 'REFERENCE_S6'],
  [0x020, 'NV_RATE'],
  [0x021, 'LOCKOUT'],
  [0x022, 'RETRY'],
  [0x023, 'NV_UNAVAILABLE'],
  [0x07f, 'NOT_USED'],
]);

export interface ResponseCode {
  readonly code: number;
  /** Without the prefix TPM_RC_; `UNKNOWN` when the table has no such code. */
  readonly name: string;
  readonly warning: boolean;
  /** What the code is about, counted from 1, as the TPM said. */
  readonly subject?: { readonly kind: 'handle' | 'session' | 'parameter'; readonly number: number };
}

export function describeResponseCode(code: number): ResponseCode {
  if (code === 0) return { code, name: 'SUCCESS', warning: false };
  if ((code & 0x080) !== 0) {
    const name = formatOne[code & 0x3f] ?? 'UNKNOWN';
    const number = (code >> 8) & 0xf;
    if ((code & 0x040) !== 0) return { code, name, warning: false, subject: { kind: 'parameter', number } };
    if (number === 0) return { code, name, warning: false };
    if (number < 8) return { code, name, warning: false, subject: { kind: 'handle', number } };
    return { code, name, warning: false, subject: { kind: 'session', number: number - 8 } };
  }
  if (code === 0x01e) return { code, name: 'BAD_TAG', warning: false };
  const warning = (code & 0x900) === 0x900;
  const table = warning ? warnings : (code & 0xf00) === 0x100 ? errors : undefined;
  return { code, name: table?.get(code & 0x7f) ?? 'UNKNOWN', warning };
}

/** For messages: `TPM_RC_VALUE of parameter 1 (0x1c4)`. */
export function responseCodeText(code: number): string {
  const { name, subject } = describeResponseCode(code);
  const about = subject === undefined ? '' : ` of ${subject.kind} ${subject.number}`;
  return `TPM_RC_${name}${about} (0x${code.toString(16)})`;
}
