/** Digest algorithms of PCR banks: TPM_ALG_ID (TCG Algorithm Registry, section 6.10) with the sizes of their digests. */

export type PcrBank =
  | 'sha1'
  | 'sha256'
  | 'sha384'
  | 'sha512'
  | 'sm3_256'
  | 'sha3_256'
  | 'sha3_384'
  | 'sha3_512';

export interface BankFacts {
  readonly bank: PcrBank;
  /** TPM_ALG_ID. */
  readonly id: number;
  /** Bytes of a digest. */
  readonly size: number;
  /** What OpenSSL calls it. */
  readonly hash: string;
}

export const pcrBanks: readonly BankFacts[] = [
  { bank: 'sha1', id: 0x0004, size: 20, hash: 'sha1' },
  { bank: 'sha256', id: 0x000b, size: 32, hash: 'sha256' },
  { bank: 'sha384', id: 0x000c, size: 48, hash: 'sha384' },
  { bank: 'sha512', id: 0x000d, size: 64, hash: 'sha512' },
  { bank: 'sm3_256', id: 0x0012, size: 32, hash: 'sm3' },
  { bank: 'sha3_256', id: 0x0027, size: 32, hash: 'sha3-256' },
  { bank: 'sha3_384', id: 0x0028, size: 48, hash: 'sha3-384' },
  { bank: 'sha3_512', id: 0x0029, size: 64, hash: 'sha3-512' },
];

const byBank = new Map(pcrBanks.map((facts) => [facts.bank, facts]));
const byId = new Map(pcrBanks.map((facts) => [facts.id, facts]));

export function bankFacts(bank: PcrBank): BankFacts {
  const facts = byBank.get(bank);
  if (facts === undefined) throw new TypeError(`no PCR bank ${bank}`);
  return facts;
}

/** The bank with this TPM_ALG_ID; undefined when this file does not know it. */
export function bankOfId(id: number): BankFacts | undefined {
  return byId.get(id);
}

export function isPcrBank(text: string): text is PcrBank {
  return pcrBanks.some(({ bank }) => bank === text);
}
