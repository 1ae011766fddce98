export {
  parseAuthenticatedVariable,
  planAuthenticatedVariable,
  variableSignedBytes,
  verifyAuthenticatedVariable,
} from './authenticated-variable.ts';
export type { AuthenticatedVariable, VariableUpdate } from './authenticated-variable.ts';
export { describeAuthority, describeSignatureLists } from './describe.ts';
export { enrollSecureBoot, keyVariableContent } from './enroll.ts';
export type { SecureBootKeys } from './enroll.ts';
export {
  attributes as variableAttributes,
  customModeGuid,
  globalVariableGuid,
  imageSecurityDatabaseGuid,
  keyVariableAttributes,
  keyVariables,
  secureBootEnableGuid,
  signatureTypes,
} from './guids.ts';
export type { KeyVariable } from './guids.ts';
export {
  certificateLists,
  digestLists,
  encodeSignatureLists,
  parseSignatureLists,
} from './signature-list.ts';
export type { EfiSignature, SignatureList } from './signature-list.ts';
export { encodeEfiTime, parseEfiTime } from './time.ts';
export { encodeVariableStore, parseVariableStore, setVariables } from './variable-store.ts';
export type { StoredVariable, VariableStore } from './variable-store.ts';
