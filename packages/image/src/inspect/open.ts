/**
 * Opens whatever an image is given as: a release folder, a raw disk (ours or made by systemd-repart and the like), a
 * single boot image or a single EROFS file system.
 */

import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { ByteSource } from '@osguard/formats/bytes';
import { FormatError } from '@osguard/formats/bytes';
import type { FatNode, FatVolume } from '@osguard/formats/fat';
import { readFat } from '@osguard/formats/fat';
import type { GptReadResult } from '@osguard/formats/gpt';
import { readGpt } from '@osguard/formats/gpt';
import { removableMediaPath } from '../disk/host-disk.ts';
import { ImageError } from '../error.ts';
import type { FileSource } from '../files/source.ts';
import { openFileSource } from '../files/source.ts';
import type { ReleaseFolder } from '../release/folder.ts';
import { manifestName, openRelease } from '../release/folder.ts';
import type { Findings } from './findings.ts';
import type { OpenedPartition } from './partitions.ts';
import { openPartitions } from './partitions.ts';
import type { ImageKind } from './report.ts';

export interface NamedSource {
  /** File, partition or path on the ESP, for people. */
  readonly where: string;
  readonly source: ByteSource;
}

export interface OpenedDisk extends NamedSource {
  readonly table: GptReadResult;
  readonly partitions: readonly OpenedPartition[];
}

export interface OpenedEsp {
  readonly partition: number;
  readonly volume: FatVolume;
}

export interface OpenedImage extends Disposable {
  readonly target: string;
  readonly kind: ImageKind;
  readonly release: ReleaseFolder | undefined;
  readonly disk: OpenedDisk | undefined;
  readonly esp: OpenedEsp | undefined;
  /** What the firmware starts. */
  readonly boot: NamedSource | undefined;
  /** A file system image of /usr that lies beside or instead of a disk. */
  readonly looseUsr: NamedSource | undefined;
  /** A file of the release folder; undefined when it is not there. */
  file(name: string): string | undefined;
}

/**
 * Damage inside goes to `findings`.
 * @throws ImageError (`not-an-image`) when the target is nothing of the kind; system errors pass.
 */
export async function openImage(target: string, findings: Findings): Promise<OpenedImage> {
  const files: FileSource[] = [];
  const open = (path: string): FileSource => {
    const source = openFileSource(path);
    files.push(source);
    return source;
  };
  const close = (): void => {
    for (const source of files) source[Symbol.dispose]();
  };
  try {
    const stat = statSync(target);
    // Opening a FIFO would wait for somebody to write.
    if (!stat.isDirectory() && !stat.isFile()) {
      throw new ImageError('not-an-image', `${target} is neither a folder nor a file`);
    }
    const opened = stat.isDirectory()
      ? await openFolder(target, { open, findings })
      : openSingle(target, { source: open(target), findings });
    return { ...opened, target, [Symbol.dispose]: close };
  } catch (error) {
    close();
    throw error;
  }
}

type Opened = Omit<OpenedImage, 'target' | typeof Symbol.dispose>;

interface FolderOptions {
  readonly open: (path: string) => FileSource;
  readonly findings: Findings;
}

async function openFolder(folder: string, { open, findings }: FolderOptions): Promise<Opened> {
  const file = (name: string): string | undefined => {
    const path = join(folder, name);
    return existsSync(path) ? path : undefined;
  };
  // Says that this is no release folder when the manifest is not there at all.
  const release =
    file(manifestName) === undefined
      ? await openRelease(folder)
      : await findings.attemptAsync(manifestName, () => openRelease(folder));
  const named = (name: string): NamedSource | undefined => {
    const path = file(name);
    if (path === undefined) findings.add(name, 'is not in the folder');
    return path === undefined ? undefined : { where: name, source: open(path) };
  };
  const raw = named('disk.raw');
  const disk = raw && findings.attempt('disk.raw', () => openDisk(raw));
  const esp = disk && openEsp(disk, findings);
  const boot = named('uki.efi');
  const onDisk = esp && findBoot(esp, findings);
  if (boot !== undefined && onDisk !== undefined) {
    const same = findings.attempt('uki.efi', () => sameBytes(boot.source, onDisk.source));
    if (same === false) findings.add('disk.raw', `its ${onDisk.where} is not the uki.efi of the folder`);
  }
  return {
    kind: 'release',
    release,
    disk,
    esp,
    boot: onDisk ?? boot,
    looseUsr: named('usr.erofs'),
    file,
  };
}

interface SingleOptions {
  readonly source: ByteSource;
  readonly findings: Findings;
}

function openSingle(target: string, { source, findings }: SingleOptions): Opened {
  const nothing = { release: undefined, disk: undefined, esp: undefined, file: () => undefined };
  const whole = { where: target, source };
  const starts = (at: number, magic: string): boolean =>
    source.size >= at + magic.length &&
    Buffer.from(source.read(at, magic.length)).toString('latin1') === magic;
  try {
    const disk = openDisk(whole);
    const esp = openEsp(disk, findings);
    const boot = esp && findBoot(esp, findings);
    return { ...nothing, kind: 'disk', disk, esp, boot, looseUsr: undefined };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    if (starts(1024, '\xe2\xe1\xf5\xe0')) {
      return { ...nothing, kind: 'file-system', boot: undefined, looseUsr: whole };
    }
    if (starts(512, 'EFI PART') || starts(4096, 'EFI PART')) {
      findings.add(target, error.message);
      return { ...nothing, kind: 'disk', boot: undefined, looseUsr: undefined };
    }
    if (starts(0, 'MZ')) return { ...nothing, kind: 'boot-image', boot: whole, looseUsr: undefined };
    throw new ImageError('not-an-image', `${target} is no disk image: ${error.message}`, {
      cause: error,
      hint: 'name a release folder, a raw disk with a GUID partition table, a UKI or an EROFS image',
    });
  }
}

function openDisk({ where, source }: NamedSource): OpenedDisk {
  const table = readGpt(source);
  return { where, source, table, partitions: openPartitions(source, table) };
}

function openEsp(disk: OpenedDisk, findings: Findings): OpenedEsp | undefined {
  const found = disk.partitions.filter(({ typeName }) => typeName === 'esp');
  const [first] = found;
  if (found.length > 1) findings.add(disk.where, `${found.length} EFI system partitions; the first is shown`);
  if (first === undefined) return undefined;
  const where = `partition ${first.number}`;
  const volume = findings.attempt(where, () => readFat(first.source));
  for (const message of volume?.findings ?? []) findings.add(where, message);
  return volume && { partition: first.number, volume };
}

/** The removable-media default may be a boot manager: then the UKIs in EFI/Linux are what it starts. */
function findBoot({ volume }: OpenedEsp, findings: Findings): NamedSource | undefined {
  const listed = volume.nodes.filter(
    ({ path, kind }) => kind === 'file' && /^efi\/linux\/[^/]+\.efi$/i.test(path),
  );
  if (listed.length > 1) {
    const names = listed.map(({ path }) => path).join(', ');
    findings.add('EFI/Linux', `${listed.length} boot images, the last by name is shown: ${names}`);
  }
  const node: FatNode | undefined =
    listed.toSorted((a, b) => (a.path < b.path ? -1 : 1)).at(-1) ??
    volume.find(removableMediaPath) ??
    volume.find('EFI/BOOT/BOOTAA64.EFI');
  if (node === undefined) {
    findings.add('ESP', `holds neither EFI/Linux/*.efi nor ${removableMediaPath}`);
    return undefined;
  }
  return findings.attempt(node.path, () => ({ where: node.path, source: volume.open(node) }));
}

const compareChunk = 1024 * 1024;

function sameBytes(a: ByteSource, b: ByteSource): boolean {
  if (a.size !== b.size) return false;
  for (let at = 0; at < a.size; at += compareChunk) {
    const length = Math.min(compareChunk, a.size - at);
    if (Buffer.compare(a.read(at, length), b.read(at, length)) !== 0) return false;
  }
  return true;
}
