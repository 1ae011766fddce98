/** Further disk formats beside disk.raw: a fixed VHD of our own, qcow2 and VHDX through qemu-img(1). */

import { spawn } from 'node:child_process';
import { copyFileSync, constants, openSync, closeSync, fsyncSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { encodeVhdFooter } from '@osguard/formats/vhd';
import type { RootHash } from '@osguard/formats/verity';
import { rootHashPartitionIds } from '@osguard/formats/verity';
import type { DiskFormat } from '../definition/index.ts';
import { ImageError } from '../error.ts';
import { writeFully } from '../files/write.ts';

export interface ConvertDiskOptions {
  readonly formats: readonly DiskFormat[];
  /** Names the image: identifiers inside the formats follow from it. */
  readonly rootHash: RootHash;
  /** Seconds since 1970. */
  readonly time: number;
  readonly signal?: AbortSignal;
}

/** Writes `disk.<format>` next to the raw image, which always stays. @throws ImageError (`tool-missing`, `tool-failed`) */
export async function convertDisk(raw: string, options: ConvertDiskOptions): Promise<void> {
  for (const format of options.formats) {
    const target = join(dirname(raw), `disk.${format}`);
    if (format === 'vhd') writeVhd(raw, { ...options, target });
    else if (format !== 'raw')
      await qemuImg(['convert', '-f', 'raw', '-O', format, raw, target], options.signal);
  }
}

function writeVhd(
  raw: string,
  { target, rootHash, time }: ConvertDiskOptions & { readonly target: string },
): void {
  copyFileSync(raw, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  const { size } = statSync(target);
  const fd = openSync(target, 'r+');
  try {
    const uuid = rootHashPartitionIds(rootHash).data;
    writeFully(fd, encodeVhdFooter({ size, uuid, time }), size);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

async function qemuImg(args: readonly string[], signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  const child = spawn('qemu-img', args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    ...(signal !== undefined && { signal }),
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  child.on('error', (cause: NodeJS.ErrnoException) =>
    reject(
      cause.code === 'ENOENT'
        ? new ImageError('tool-missing', 'qemu-img is not on this machine', {
            hint: 'sudo apt-get install qemu-utils',
            cause,
          })
        : cause,
    ),
  );
  child.on('close', resolve);
  const status = await promise;
  if (status !== 0)
    throw new ImageError('tool-failed', `qemu-img ended with status ${status}: ${said.trim()}`);
}
