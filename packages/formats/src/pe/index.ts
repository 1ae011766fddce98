export {
  assertAuthenticode,
  encodeSignature,
  readSignatures,
  splitCertificateTable,
} from './certificate-table.ts';
export type { WinCertificate } from './certificate-table.ts';
export { authenticodeDigest, findUncovered } from './digest.ts';
export type { AuthenticodeDigestOptions } from './digest.ts';
export { parsePe } from './parse.ts';
export type { PeFieldOffsets, PeImage, PeSection } from './parse.ts';
export { mergeSbat } from './sbat.ts';
export { appendSections } from './sections.ts';
export type { NewPeSection } from './sections.ts';
export { planPeSignature, stripSignatures } from './sign.ts';
export type { PeSignaturePlan } from './sign.ts';
export { buildUki, readUkiSection, sectionBody } from './uki.ts';
export type { UkiParts } from './uki.ts';
export { parseIndirectData, verifyPe } from './verify.ts';
export type { IndirectData, PeSignatureCheck, PeSignatureResult, PeVerification } from './verify.ts';
