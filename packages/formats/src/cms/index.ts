export { planSignedData } from './encode.ts';
export type { CmsContent, SignedDataPlan, SignedDataRequest } from './encode.ts';
export { attributeTypes, contentTypes } from './oids.ts';
export { parseSignedData } from './parse.ts';
export type { ParseSignedDataOptions, SignedAttributes, SignedData, SignerId, SignerInfo } from './parse.ts';
export {
  planAuthenticodeSignature,
  planIpePolicySignature,
  planRootHashSignature,
  planVariableSignature,
  rootHashContent,
} from './profiles.ts';
export type { ImageDigest } from './profiles.ts';
export { verifyIpePolicySignature, verifyRootHashSignature } from './verify-profiles.ts';
export type { TrustOptions } from './verify-profiles.ts';
export { allSignersGood, verifySignedData } from './verify.ts';
export type { SignatureCheck, SignatureCheckId, SignerResult, VerifyOptions } from './verify.ts';
