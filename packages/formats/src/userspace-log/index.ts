export { encodeUserspaceLog, parseUserspaceLog, replayUserspace, userspaceLogLimits } from './log.ts';
export type { EncodableRecord } from './log.ts';
export { checkRecordDigest } from './record.ts';
export type { UserspaceRecord } from './record.ts';
