export { FormatError } from './error.ts';
export type { FormatErrorCode, FormatErrorOptions } from './error.ts';
export { ByteReader } from './reader.ts';
export type { ByteReaderOptions, Endian } from './reader.ts';
export { ByteWriter } from './writer.ts';
export type { ByteWriterOptions } from './writer.ts';
export { assertInside, sliceSource, sourceOf } from './source.ts';
export type { ByteSource } from './source.ts';
export { equalBytes, fromHex, toHex } from './hex.ts';
