export type { TarEntry, TarKind, TarReadEntry, TarTime } from './entry.ts';
export { createTarReader } from './reader.ts';
export type { TarReader, TarReaderOptions, TarSink } from './reader.ts';
export { safePath } from './safe-path.ts';
export { readTar, readTarStream } from './stream.ts';
export type { TarEvent } from './stream.ts';
export { encodeTarHeader, tarPadding, writeTar } from './write.ts';
export type { TarHeaderEntry, TarWriteEntry } from './write.ts';
