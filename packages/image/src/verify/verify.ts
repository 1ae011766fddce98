/**
 * The verify journey, the build backwards: manifest → disk → ESP → UKI → command line → root hash signature → every
 * block of /usr → IPE policy → SELinux → bill of materials. Offline, without rights, without mounting anything.
 */

import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { EventSink } from '@osguard/events';
import { step } from '@osguard/events';
import type { ByteSource } from '@osguard/formats/bytes';
import type { Keyring } from '@osguard/keys';
import { ImageError } from '../error.ts';
import { FileThreads } from '../files/file-threads.ts';
import { openFileSource } from '../files/source.ts';
import type { ReleaseFolder } from '../release/folder.ts';
import { openRelease } from '../release/folder.ts';
import { openBootImage } from './boot-image.ts';
import type { Check } from './checks.ts';
import { CheckList } from './checks.ts';
import { checkDisk, checkEsp, checkEspFiles, checkUsrPartitions } from './disk.ts';
import { checkMeasurements } from './measurements.ts';
import { checkCommandLine, checkIpe, checkSelinux, checkVolumeSigners } from './policy.ts';
import { checkFiles, checkManifest, checkSameRoot, checkSbom } from './release.ts';
import { checkUki } from './uki.ts';
import { checkRootHashSignature, checkUsr } from './usr.ts';

export interface VerifyImageOptions {
  /** Certificates by role; private keys are not looked at. */
  readonly trust: Keyring;
  /**
   * An image made by other tools (systemd-repart, mkosi): its chain of signatures and every block of /usr are verified;
   * what only osguard promises (policies, command line, bill of materials) is not asked for.
   */
  readonly foreign?: boolean;
  /** From {@link readAhead}; the caller's, else they are made and stopped here. */
  readonly threads?: FileThreads;
  readonly sink?: EventSink;
  readonly signal?: AbortSignal;
}

export interface VerifyReport {
  readonly target: string;
  readonly ok: boolean;
  readonly checks: readonly Check[];
  readonly release?: { readonly name: string; readonly version: string };
  readonly rootHash?: string;
  /** Bytes of /usr whose every block was verified. */
  readonly verifiedBytes: number;
}

/** @throws ImageError (`not-an-image`) when `target` is neither a release folder nor a file; system errors pass through. */
export async function verifyImage(target: string, options: VerifyImageOptions): Promise<VerifyReport> {
  const path = resolve(target);
  const list = new CheckList();
  const { sink } = options;
  return step(sink, { id: 'verify', title: `verify ${target}` }, async (report) => {
    await using own = options.threads === undefined ? new FileThreads() : undefined;
    const threads = options.threads ?? own ?? new FileThreads();
    const release = isFolder(path) ? await openRelease(path) : undefined;
    if (release !== undefined) await checkManifest(list, release, options.trust);
    // Threads read the files while this one follows the chain on the disk.
    const files = release === undefined ? undefined : checkFiles(list, release, threads);
    files?.catch(() => undefined);
    const disk = release?.file('disk.raw') ?? path;
    const facts = await verifyDisk(list, { ...options, path: disk, release, threads });
    await files;
    const failed = list.checks.filter(({ ok }) => !ok).length;
    report.detail(
      failed === 0 ? `${list.checks.length} checks hold` : `${failed} of ${list.checks.length} checks failed`,
    );
    return {
      target,
      ok: list.ok,
      checks: list.checks,
      ...(release !== undefined && { release: { name: release.name, version: release.version } }),
      ...facts,
    };
  });
}

interface DiskInput extends Omit<VerifyImageOptions, 'threads'> {
  readonly path: string;
  readonly release: ReleaseFolder | undefined;
  readonly threads: FileThreads;
}

async function verifyDisk(
  list: CheckList,
  input: DiskInput,
): Promise<{ readonly rootHash?: string; readonly verifiedBytes: number }> {
  const { trust, release, path, foreign = false, signal, threads } = input;
  using source = openFileSource(path);
  const disk = await checkDisk(list, source, path);
  if (disk === undefined) return { verifiedBytes: 0 };
  const esp = await checkEsp(list, disk, { foreign });
  if (esp === undefined) return { verifiedBytes: 0 };
  const boot = openBootImage(esp.volume.open(esp.uki), trust);
  await checkEspFiles(list, esp, { foreign, trust, boot });
  const uki = await checkUki(list, boot, trust);
  if (uki === undefined) return { verifiedBytes: 0 };
  const { rootHash, initrd } = uki;
  if (release !== undefined)
    await checkSameRoot(list, release, { rootHash, ukiDigest: digestOf(boot.source) });
  if (!foreign) {
    await checkCommandLine(list, uki.commandLine);
    await checkIpe(list, initrd, trust);
    await checkVolumeSigners(list, initrd, trust);
  }
  const partitions = await checkUsrPartitions(list, disk, rootHash);
  await checkRootHashSignature(list, { rootHash, initrd, disk, partitions, trust });
  if (partitions === undefined) return { rootHash, verifiedBytes: 0 };
  const usr = await checkUsr(list, { rootHash, disk, partitions, ...(signal !== undefined && { signal }) });
  if (!foreign) await checkSelinux(list, usr?.image);
  if (release !== undefined) await checkMeasurements(list, { release, boot, trust });
  if (release !== undefined) await checkSbom(list, { release, usr, threads });
  return { rootHash, verifiedBytes: usr?.image.size ?? 0 };
}

function isFolder(path: string): boolean {
  try {
    const stats = statSync(path);
    if (stats.isDirectory()) return true;
    if (stats.isFile()) return false;
  } catch (cause) {
    throw new ImageError('not-an-image', `${path} cannot be read`, {
      cause,
      hint: 'give a release folder or a raw disk',
    });
  }
  throw new ImageError('not-an-image', `${path} is neither a folder nor a regular file`);
}

function digestOf(source: ByteSource): string {
  const hash = createHash('sha256');
  const piece = 1024 * 1024;
  for (let at = 0; at < source.size; at += piece)
    hash.update(source.read(at, Math.min(piece, source.size - at)));
  return hash.digest('hex');
}
