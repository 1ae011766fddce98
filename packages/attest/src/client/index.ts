export { openOperatorClient } from './client.ts';
export type { Asking, ClientOptions, Endpoint, OperatorClient } from './client.ts';
export { findEndpoint } from './endpoint.ts';
export type { EndpointOptions } from './endpoint.ts';
export { ClientError } from './error.ts';
export type { ClientErrorCode } from './error.ts';
export { parsePlace, placeText, verifyChain } from '../audit/index.ts';
export type { AuditCheck, AuditReport, ChainEntry, ChainPlace } from '../audit/index.ts';
