/** A file as a ByteSource: random access by pread, one reused buffer, nothing mapped. */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { ByteSource } from '@osguard/formats/bytes';
import { assertInside, FormatError } from '@osguard/formats/bytes';

export interface FileSource extends ByteSource, Disposable {
  readonly path: string;
}

/**
 * Opens `path` for reading; close it with `using` or `[Symbol.dispose]()`. System errors pass through.
 *
 * @throws FormatError `malformed` for a folder
 */
export function openFileSource(path: string): FileSource {
  const fd = openSync(path, 'r');
  const stats = fstatSync(fd);
  if (stats.isDirectory()) {
    closeSync(fd);
    throw new FormatError('malformed', `${path} is a folder, a file was expected`);
  }
  const { size } = stats;
  let buffer = new Uint8Array(64 * 1024);
  return {
    path,
    size,
    read(offset, length) {
      assertInside(size, offset, length);
      if (length > buffer.length) buffer = new Uint8Array(length);
      let done = 0;
      while (done < length) {
        const count = readSync(fd, buffer, done, length - done, offset + done);
        if (count === 0) {
          throw new FormatError('truncated', `${path} became shorter while it was read`, { offset });
        }
        done += count;
      }
      return buffer.subarray(0, length);
    },
    [Symbol.dispose]: () => closeSync(fd),
  };
}
