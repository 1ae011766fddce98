export {
  ipeActions,
  ipeDefault,
  ipeDigests,
  ipeFlags,
  ipeOperations,
  ipeRules,
  isIpeDigestProperty,
} from './model.ts';
export type {
  IpeAction,
  IpeDefault,
  IpeDigest,
  IpeDigestName,
  IpeDigestProperty,
  IpeFlag,
  IpeFlagProperty,
  IpeOperation,
  IpePolicy,
  IpeProperty,
  IpeRule,
  IpeStatement,
  IpeVersion,
} from './model.ts';
export { IpeSyntaxError } from './error.ts';
export type { IpeErrno, IpeSyntaxErrorOptions } from './error.ts';
export { parseIpePolicy, readIpePolicy } from './parse.ts';
export type { IpeReading, IpeReadOptions } from './parse.ts';
export { encodeIpePolicy, formatIpeProperty, formatIpeStatement, formatIpeVersion } from './encode.ts';
export { evaluateIpePolicy } from './evaluate.ts';
export type { IpeDecision, IpeRuleTrial, IpeSubject } from './evaluate.ts';
export { checkIpePolicy, lintIpePolicy } from './lint.ts';
export type { IpeCheck, IpeLintOptions } from './lint.ts';
export { compareIpeVersions, judgeIpeUpdate } from './update.ts';
export type { IpeUpdateVerdict } from './update.ts';
