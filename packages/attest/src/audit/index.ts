export { parsePlace, placeText, verifyChain } from './verify-chain.ts';
export type { AuditCheck, AuditReport, ChainEntry, ChainPlace, VerifyChainOptions } from './verify-chain.ts';
