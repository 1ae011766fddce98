/** The words of the protocol, for both ends: schemas, types, addresses, limits. Nothing here needs the service. */

export { base64, nodeId, pcrValues, sha256Hex, time, word } from './fields.ts';
export { limits } from './limits.ts';
export { activationPath, endpointFile, paths, secretPath, tokenFile } from './paths.ts';
export { reasonCodes, refusalSchema } from './reasons.ts';
export type { ReasonCode, Refusal } from './reasons.ts';
export {
  activationAnswerSchema,
  activationRequestSchema,
  checkMessageSchema,
  enrolmentAnswerSchema,
  enrolmentRequestSchema,
  evidenceAnswerSchema,
  evidenceMessageSchema,
  evidenceSchemaName,
  nonceAnswerSchema,
  nonceRequestSchema,
} from './messages.ts';
export type {
  ActivationAnswer,
  ActivationRequest,
  CheckMessage,
  EnrolmentAnswer,
  EnrolmentRequest,
  EvidenceAnswer,
  EvidenceMessage,
  NonceAnswer,
  NonceRequest,
} from './messages.ts';
export { evidenceQualifyingData } from './qualifying-data.ts';
export type { QualifyingDataParts } from './qualifying-data.ts';
export {
  applicantsAnswerSchema,
  decisionAnswerSchema,
  decisionsAnswerSchema,
  labelsSchema,
  newReleaseSchema,
  newTokenSchema,
  nodeAnswerSchema,
  nodeDetailAnswerSchema,
  nodeLabelsSchema,
  nodesAnswerSchema,
  nodesQuerySchema,
  operatorRoles,
  releaseAnswerSchema,
  releaseStates,
  releaseStateSchema,
  secretInfoSchema,
  tokenInfoSchema,
  trustStates,
  verdictAnswerSchema,
  webhookInfoSchema,
  nodeDoneSchema,
  releasesAnswerSchema,
  secretsAnswerSchema,
  secretSetQuerySchema,
  secretSetSchema,
  tokenStatusSchema,
  secretRemovedSchema,
  tokensAnswerSchema,
  tokenMadeSchema,
  removedSchema,
} from './operators.ts';
export type {
  ApplicantAnswer,
  DecisionAnswer,
  DecisionsAnswer,
  NewRelease,
  NewTokenRequest,
  NodeAnswer,
  NodeDetailAnswer,
  NodesAnswer,
  NodesQuery,
  OperatorReleaseState,
  OperatorRole,
  ReleaseAnswer,
  ReleaseStateRequest,
  NodeState,
  SecretInfo,
  SecretScopeAnswer,
  SecretSetAnswer,
  SecretSetQuery,
  TokenInfo,
  TokenStatus,
  Trust,
  VerdictAnswer,
  WebhookInfo,
} from './operators.ts';
