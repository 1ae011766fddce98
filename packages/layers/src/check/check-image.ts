/**
 * Which files of an image will not run on a host that enforces signed layers, and why, before anyone deploys it.
 *
 * What is said here follows from the files; a program that only does something refused on some path through its
 * code, and whose files do not show it, is not found. The host's audit log has the last word.
 */

import { posix } from 'node:path';
import { step } from '@osguard/events';
import type { EventSink } from '@osguard/events';
import { elfMachines } from '@osguard/formats/elf';
import { digestHex } from '@osguard/formats/oci';
import type { Digest, ImageConfig } from '@osguard/formats/oci';
import type { ImageStore } from '../registry/store.ts';
import { readImages } from '../sources/images.ts';
import type { PlatformImage } from '../sources/images.ts';
import type { OpenedImage } from '../sources/open-image.ts';
import { examineEntryPoint, isBelow, volumesOf } from './entry-point.ts';
import type { EntryPoint } from './entry-point.ts';
import type { Finding, FindingLevel } from './finding.ts';
import { MergedTree } from './merged-tree.ts';
import type { TreeFile } from './merged-tree.ts';
import { interpreters } from './runtimes.ts';
import { scanLayer } from './scan-layer.ts';

export interface CheckImageOptions {
  readonly platform?: string | undefined;
  /** Larger ELF files are only noted. Bytes; 512 MiB unless given. */
  readonly largestFile?: number;
  readonly sink?: EventSink;
  readonly signal?: AbortSignal | undefined;
}

export interface CheckedPlatform {
  readonly platform: string;
  readonly digest: Digest;
  readonly files: number;
  readonly programs: number;
  /** What starts, as an absolute path; absent when nothing does or it is not there. */
  readonly program?: string;
  /** The worst first, then by path. */
  readonly findings: readonly Finding[];
}

export interface CheckReport {
  readonly name: string;
  readonly digest: Digest;
  /** Nothing was found that is refused. */
  readonly ok: boolean;
  readonly images: readonly CheckedPlatform[];
}

/** @throws LayerError */
export async function checkImage(opened: OpenedImage, options: CheckImageOptions = {}): Promise<CheckReport> {
  const { platform, signal, sink } = options;
  const { store } = opened;
  const set = await step(sink, { id: 'image', title: `read ${opened.name}` }, async (report) => {
    const found = await readImages(store, opened.digest ?? opened.tag ?? 'latest', { platform, signal });
    report.detail(found.images.map((image) => image.platform).join(', '));
    return found;
  });
  const images: CheckedPlatform[] = [];
  for (const image of set.images) images.push(await checkPlatform(store, image, options));
  const ok = images.every(({ findings }) => findings.every(({ level }) => level !== 'refused'));
  return { name: opened.name, digest: set.descriptor.digest, ok, images };
}

async function checkPlatform(
  store: ImageStore,
  image: PlatformImage,
  { largestFile = 512 * 1024 * 1024, sink, signal }: CheckImageOptions,
): Promise<CheckedPlatform> {
  const tree = new MergedTree();
  for (const { index, descriptor } of image.layers) {
    const id = `check-${digestHex(descriptor.digest).slice(0, 12)}`;
    const title = `${image.platform} layer ${index + 1}/${image.layers.length}`;
    await step(sink, { id, title }, async (report) => {
      const onProgress = (done: number): void =>
        report.progress({ done, total: descriptor.size, unit: 'bytes' });
      await scanLayer(store.blob(descriptor, { signal }), { tree, largestFile, onProgress, signal });
    });
  }
  const entryPoint = examineEntryPoint(image.config, tree);
  const findings = [...entryPoint.findings];
  let programs = 0;
  for (const [path, file] of tree.files) {
    if (file.elf?.runs === true) programs += 1;
    findings.push(...examineFile(`/${path}`, file, { tree, config: image.config, entryPoint }));
  }
  const { program } = entryPoint;
  return {
    platform: image.platform,
    digest: image.descriptor.digest,
    files: [...tree.files.values()].filter(({ kind }) => kind === 'file').length,
    programs,
    ...(program !== undefined && { program }),
    findings: findings.sort(byWeight),
  };
}

interface FileContext {
  readonly tree: MergedTree;
  readonly config: ImageConfig;
  readonly entryPoint: EntryPoint;
}

function examineFile(path: string, file: TreeFile, context: FileContext): readonly Finding[] {
  const { elf, layer } = file;
  if (file.kind !== 'file') return [];
  const found: Omit<Finding, 'path' | 'layer'>[] = [];
  if (file.unread !== undefined) {
    found.push({
      id: 'unreadable',
      level: 'note',
      evidence: file.unread,
      why: 'it is too large to be looked into',
      mend: 'look at it by hand',
    });
  }
  if (elf?.runs === true) {
    const machine = elfMachines.get(context.config.platform.architecture);
    const foreign = machine !== undefined && elf.machine !== machine;
    if (foreign) {
      found.push({
        id: 'foreign-architecture',
        level: 'note',
        evidence: `ELF machine ${elf.machine}, the image is for ${context.config.platform.architecture}`,
        why: 'the kernel runs it only through an emulator',
        mend: 'leave it out of the image, unless it is data',
      });
    } else found.push(...elf.evidence.map((each) => withStart(each, path, context)));
    found.push(...whereItLies(path, elf.interpreter, context));
  }
  found.push(...raisedRights(file));
  if (elf?.runs === true && elf.interpreter !== undefined && interpreters.test(posix.basename(path))) {
    found.push({
      id: 'interpreter',
      level: 'note',
      evidence: `an interpreter, by its name`,
      why: 'whoever gets to start it can run anything: the kernel checks programs, not what an interpreter reads',
      mend: 'leave it out of the image, where nothing needs it',
    });
  }
  return found.map((each) => ({ ...each, path, layer }));
}

/** V8 without its JIT does run. */
function withStart(
  evidence: Omit<Finding, 'path' | 'layer'>,
  path: string,
  { config, entryPoint }: FileContext,
): Omit<Finding, 'path' | 'layer'> {
  if (evidence.id !== 'jit-v8') return evidence;
  const inEnvironment = config.env.some((each) => /^NODE_OPTIONS=(?:.*\s)?--jitless(?:\s|$)/.test(each));
  const inCommand = entryPoint.program === path && entryPoint.args.includes('--jitless');
  if (!inEnvironment && !inCommand) return evidence;
  return {
    ...evidence,
    level: 'note',
    evidence: `${evidence.evidence}; ${inEnvironment ? 'NODE_OPTIONS has' : 'it is started with'} --jitless`,
    why: 'without its JIT it runs; WebAssembly, and with it fetch, does not exist',
    mend: 'nothing, unless the program needs WebAssembly',
  };
}

function whereItLies(
  path: string,
  interpreter: string | undefined,
  { tree, config }: FileContext,
): readonly Omit<Finding, 'path' | 'layer'>[] {
  const found: Omit<Finding, 'path' | 'layer'>[] = [];
  const volume = isBelow(path, volumesOf(config));
  if (volume !== undefined) {
    found.push({
      id: 'in-volume',
      level: 'refused',
      evidence: `VOLUME ${volume}`,
      why: 'a new volume gets a copy of what the image has there, and copies are not signed',
      mend: 'keep programs and libraries out of volumes',
    });
  }
  if (interpreter !== undefined && tree.resolve(interpreter) === undefined) {
    found.push({
      id: 'interpreter-missing',
      level: 'refused',
      evidence: `PT_INTERP ${interpreter}`,
      why: 'no layer has the dynamic linker it names, so it runs nowhere',
      mend: 'link it statically, or put its C library into the image',
    });
  }
  return found;
}

function raisedRights({ mode, capabilities }: TreeFile): readonly Omit<Finding, 'path' | 'layer'>[] {
  const found: Omit<Finding, 'path' | 'layer'>[] = [];
  if ((mode & 0o6000) !== 0 && (mode & 0o111) !== 0) {
    found.push({
      id: 'setuid',
      level: 'note',
      evidence: `mode ${(mode & 0o7777).toString(8)}`,
      why: 'it runs, and with raised rights unless the container forbids it (no_new_privs): signed does not mean harmless',
      mend: 'clear the bits (chmod a-s), or run with allowPrivilegeEscalation: false',
    });
  }
  if (capabilities) {
    found.push({
      id: 'file-capabilities',
      level: 'note',
      evidence: 'security.capability',
      why: 'it runs, and with capabilities of its own unless the container forbids it (no_new_privs)',
      mend: 'take them away (setcap -r), or run with allowPrivilegeEscalation: false',
    });
  }
  return found;
}

const weights: Readonly<Record<FindingLevel, number>> = { refused: 0, limited: 1, note: 2 };

function byWeight(a: Finding, b: Finding): number {
  if (a.level !== b.level) return weights[a.level] - weights[b.level];
  if (a.path !== b.path) return a.path < b.path ? -1 : 1;
  return a.id < b.id ? -1 : 1;
}
