export { DerReader } from './reader.ts';
export type { DerElement } from './reader.ts';
export {
  derBitString,
  derBoolean,
  derContext,
  derElement,
  derInteger,
  derNull,
  derOctetString,
  derOid,
  derPrintableString,
  derSequence,
  derSetOf,
  derTime,
  derUtf8String,
} from './writer.ts';
export { derTag } from './tags.ts';
