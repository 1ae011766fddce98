/**
 * The EFI system partition of a release's disk, written anew inside a qcow2 overlay: what somebody who has the machine in
 * his hands can do to it. Everything outside that partition stays as it was, bit for bit.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ByteSource } from '@osguard/formats/bytes';
import { writeFat } from '@osguard/formats/fat';
import type { ReleaseFolder } from '@osguard/image';
import { MachineError } from '../error.ts';
import { runOrThrow } from '../process/run.ts';
import type { Tools } from '../tools/open.ts';

export interface EspFile {
  /** Slash-separated, relative to the volume. */
  readonly path: string;
  readonly body: ByteSource;
}

export interface EspOptions {
  readonly release: ReleaseFolder;
  readonly tools: Tools;
  /** For temporary files. */
  readonly folder: string;
}

/** What firmware starts from a disk that has no boot entry (UEFI 2.10 section 3.5.1.1). */
export const bootImagePath = 'EFI/BOOT/BOOTX64.EFI';

/** An overlay over the release's disk, at first without changes. */
export async function createOverlay(overlay: string, { release, tools }: EspOptions): Promise<void> {
  const base = release.file('disk.raw');
  await runOrThrow(
    tools.command('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', base, '-F', 'raw', overlay]),
  );
}

/** Replaces all files of the partition by these. */
export async function rewriteEsp(
  overlay: string,
  files: readonly EspFile[],
  options: EspOptions,
): Promise<void> {
  const { release, tools } = options;
  const esp = release.manifest.partitions.find(({ label }) => label === 'esp');
  if (esp === undefined) throw new MachineError('bad-option', `${release.path}: no partition esp`);
  const { segments } = writeFat({
    size: esp.size,
    volumeId: Number.parseInt(release.rootHash.slice(0, 8), 16),
    label: 'ESP',
    mtime: Date.parse(release.manifest.created) / 1000,
    hiddenSectors: esp.offset / 512,
    files,
  });
  const folder = mkdtempSync(join(options.folder, 'esp-'));
  try {
    // What the new file system leaves out is zero, not what the old one had there.
    const commands = [`write -q -z ${esp.offset} ${esp.size}`];
    for (const [index, { offset, body }] of segments.entries()) {
      const file = join(folder, `${index}`);
      writeFileSync(file, body.read(0, body.size));
      commands.push(`write -q -s ${file} ${esp.offset + offset} ${body.size}`);
    }
    const args = commands.flatMap((command) => ['-c', command]);
    await runOrThrow(tools.command('qemu-io', ['-f', 'qcow2', ...args, overlay]));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
