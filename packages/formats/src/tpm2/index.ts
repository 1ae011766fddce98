export { curveSizes, hashIds, hashSizes, isTpmHash, tpmAlg } from './algorithms.ts';
export type { TpmCurve, TpmHash } from './algorithms.ts';
export {
  attributeNames,
  encodeObjectAttributes,
  objectAttributes,
  parseObjectAttributes,
} from './attributes.ts';
export type { ObjectAttribute, ObjectAttributes } from './attributes.ts';
export { encodeAttest, parseAttest, tpmGenerated } from './attest.ts';
export type { Attest, CertifyAttest, ClockInfo, CreationAttest, QuoteAttest } from './attest.ts';
export {
  encodeCommand,
  encodeSessionAttributes,
  headerSize,
  parseCommand,
  parseResponse,
  tpmTag,
} from './command.ts';
export type { CommandAuth, ResponseAuth, SessionAttributes, TpmCommand, TpmResponse } from './command.ts';
export { commandCodes } from './command-codes.ts';
export type { CommandName } from './command-codes.ts';
export { makeCredential, openCredential } from './credential.ts';
export type { Credential, CredentialRequest } from './credential.ts';
export {
  ekCertificateUsage,
  parseEkCertificate,
  tpmAttributeOids,
  trimCertificatePadding,
} from './ek-certificate.ts';
export type { EkCertificate } from './ek-certificate.ts';
export { handleRange, tpmHandle } from './handles.ts';
export { kdfa, kdfe } from './kdf.ts';
export type { KdfaInput, KdfeInput } from './kdf.ts';
export { encodeDigestList, parseDigestList, readDigestList } from './lists.ts';
export { handleName, publicAreaName, qualifiedName } from './name.ts';
export { oaepEncrypt } from './oaep.ts';
export type { OaepOptions } from './oaep.ts';
export {
  encodePcrSelections,
  parsePcrSelections,
  pcrSelectionDigest,
  readPcrSelections,
} from './pcr-selection.ts';
export type { PcrBanks, PcrSelection } from './pcr-selection.ts';
export {
  emptyPolicy,
  policyAuthorizeDigest,
  policyAuthValueDigest,
  policyOrDigest,
  policyPcrDigest,
  policySecretDigest,
} from './policy.ts';
export type { PolicyDigestOptions } from './policy.ts';
export {
  encodePublicArea,
  encodeSizedPublicArea,
  parsePublicArea,
  parseSizedPublicArea,
  readSizedPublicArea,
} from './public-area.ts';
export type {
  TpmEccPublic,
  TpmEccScheme,
  TpmKeyedHashPublic,
  TpmPublic,
  TpmRsaPublic,
  TpmRsaScheme,
  TpmScheme,
  TpmSymmetric,
} from './public-area.ts';
export { keyFieldsOf, publicAreaSpki, publicKeyOf } from './public-key.ts';
export type { TpmKeyFields } from './public-key.ts';
export { describeResponseCode, responseCodeText } from './response-codes.ts';
export type { ResponseCode } from './response-codes.ts';
export { unwrapSecret, wrapSecret } from './secret-exchange.ts';
export type { WrapOptions, WrappedSecret } from './secret-exchange.ts';
export { encodeTpmSignature, parseTpmSignature, readTpmSignature, verifyTpmSignature } from './signature.ts';
export type { TpmEcdsaSignature, TpmRsaSignature, TpmSignature } from './signature.ts';
export {
  akTemplateP256,
  ekChainIndices,
  ekPolicyASha256,
  ekPolicyBSha256,
  ekPolicyBSha384,
  ekProfiles,
  ekTemplateP256,
  ekTemplateRsa2048,
  srkTemplateP256,
} from './templates.ts';
export type { EkProfile } from './templates.ts';
export { readSized, sized, tpmReader, tpmWriter } from './wire.ts';
