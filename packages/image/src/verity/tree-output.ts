/** The file a tree is written to: a new one that appears whole, or a place inside one that exists. */

import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { FormatError } from '@osguard/formats/bytes';
import type { VerityGeometry } from '@osguard/formats/verity';
import type { OpenArea, VerityArea } from './area.ts';
import { isSameFile, openArea } from './area.ts';
import { writeFully } from './level-job.ts';

export interface TreeOutput extends Disposable {
  readonly fd: number;
  readonly offset: number;
  /** Writes `bytes` at a byte of the output's area. */
  write(bytes: Uint8Array, at: number): void;
  /** Makes the result last; a new file that was not committed is removed. */
  commit(): void;
}

export function openTreeOutput(area: VerityArea, data: OpenArea, geometry: VerityGeometry): TreeOutput {
  if (area.offset === undefined && area.size === undefined) {
    const isNew = !existsSync(area.path);
    if (isNew || (geometry.hashOffset === 0 && isReplaceable(area.path, data))) {
      return newFile(area.path, geometry);
    }
  }
  const output = openArea(area, 'r+');
  try {
    if (isSameFile(output, data)) refuseOverlap(output.offset, data, geometry);
  } catch (error) {
    output[Symbol.dispose]();
    throw error;
  }
  return {
    fd: output.fd,
    offset: output.offset,
    write: (bytes, at) => writeFully(output.fd, bytes, output.offset + at),
    commit() {
      const end = output.offset + geometry.hashEnd;
      if (output.stats.isFile() && fstatSync(output.fd).size < end) ftruncateSync(output.fd, end);
      fsyncSync(output.fd);
    },
    [Symbol.dispose]: output[Symbol.dispose],
  };
}

/** A regular file other than the data; a device is written to in place. */
function isReplaceable(path: string, data: OpenArea): boolean {
  using existing = openArea({ path }, 'r');
  return existing.stats.isFile() && !isSameFile(existing, data);
}

function newFile(path: string, geometry: VerityGeometry): TreeOutput {
  const final = resolve(path);
  const temporary = join(dirname(final), `.${basename(final)}.partial-${process.pid}`);
  const fd = openSync(temporary, 'w+');
  ftruncateSync(fd, geometry.hashEnd);
  return {
    fd,
    offset: 0,
    write: (bytes, at) => writeFully(fd, bytes, at),
    commit() {
      fsyncSync(fd);
      // A crash before this leaves the hidden file and, if there was one, the old tree.
      renameSync(temporary, final);
    },
    [Symbol.dispose]() {
      closeSync(fd);
      rmSync(temporary, { force: true });
    },
  };
}

function refuseOverlap(treeArea: number, data: OpenArea, geometry: VerityGeometry): void {
  const start = treeArea + geometry.hashOffset;
  const end = treeArea + geometry.hashEnd;
  if (start < data.offset + geometry.dataBytes && end > data.offset) {
    const dataEnd = data.offset + geometry.dataBytes;
    throw new FormatError(
      'not-encodable',
      `${data.path}: the tree (bytes ${start} to ${end}) overlaps the data (bytes ${data.offset} to ${dataEnd})`,
      { hint: 'say with the size of the data where it ends, and put the tree behind it' },
    );
  }
}
