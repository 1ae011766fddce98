export { NodeError } from './error.ts';
export type { NodeErrorCode } from './error.ts';
export { buildNodeExecutable } from './executable/build.ts';
export type { BuildNodeExecutableOptions, NodeExecutable } from './executable/build.ts';
export { describeCheck, tellApart } from './attest/describe-check.ts';
export { createChannelIdentity } from './attest/identity.ts';
export type { ChannelIdentity } from './attest/identity.ts';
