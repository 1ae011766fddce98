export type { Authorization, Session } from './authorization.ts';
export { activateCredential, certify, quotePcrs, verifySignature } from './commands/attestation.ts';
export type { Attestation, CredentialInput } from './commands/attestation.ts';
export { identify, listHandles, listPcrBanks } from './commands/capability.ts';
export type { TpmIdentity } from './commands/capability.ts';
export { evictControl, flushContext } from './commands/context.ts';
export { clear, getRandom, selfTest, shutdown, startup } from './commands/management.ts';
export { nvAttributes, nvProvision, nvRead, nvReadPublic } from './commands/nv.ts';
export type { NvPublic } from './commands/nv.ts';
export {
  create,
  createPrimary,
  load,
  loadExternal,
  primaryQualifiedName,
  readPublic,
  unseal,
  withObject,
} from './commands/objects.ts';
export type {
  CreatedObject,
  CreateOptions,
  CreatePrimaryOptions,
  LoadedObject,
  ReadPublicAnswer,
  SensitiveInput,
} from './commands/objects.ts';
export { extendPcr, readPcrs } from './commands/pcrs.ts';
export {
  policyAuthorize,
  policyAuthValue,
  policyCommandCode,
  policyGetDigest,
  policyOr,
  policyPcr,
  policySecret,
} from './commands/policy.ts';
export { openDevice, resourceManagedDevice } from './device.ts';
export { activate, endorsementKey, releaseKey } from './endorsement.ts';
export type { EndorsementKey, EndorsementOptions } from './endorsement.ts';
export { isRefusal, TpmError } from './error.ts';
export type { TpmErrorCode } from './error.ts';
export { attestationKey, quote } from './quote.ts';
export type { Quote, QuoteOptions } from './quote.ts';
export { endSession, startSession, withSession } from './sessions.ts';
export type { SessionOptions } from './sessions.ts';
export { openSocket } from './socket.ts';
export type { SocketAddress, SocketOptions } from './socket.ts';
export { controlSwtpm } from './swtpm-control.ts';
export { Tpm } from './tpm.ts';
export type { Answer, Call, Entity, TpmOptions } from './tpm.ts';
export { oneAtATime } from './transport.ts';
export type { TpmTransport } from './transport.ts';
