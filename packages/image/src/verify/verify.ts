/**
 * The verify journey, the build backwards: manifest → disk → ESP → UKI → command line → root hash signature → every
 * block of /usr → IPE policy → SELinux → bill of materials. Offline, without rights, without mounting anything.
 */

import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { EventSink } from '@osguard/events';
import { step } from '@osguard/events';
import type { RootHash } from '@osguard/formats/verity';
import type { Keyring } from '@osguard/keys';
import { ImageError } from '../error.ts';
import type { FileThreads } from '../files/file-threads.ts';
import { openFileSource } from '../files/source.ts';
import type { ReleaseFolder } from '../release/folder.ts';
import { openRelease } from '../release/folder.ts';
import type { DigestedFile } from '../release/usr-digests.ts';
import { usrDigests } from '../release/usr-digests.ts';
import { openBootImage } from './boot-image.ts';
import type { Check } from './checks.ts';
import { CheckList } from './checks.ts';
import type { FoundDisk, UsrPartitions } from './disk.ts';
import { checkDisk, checkEsp, checkEspFiles, checkUsrPartitions } from './disk.ts';
import { checkMeasurements } from './measurements.ts';
import { checkCommandLine, checkIpe, checkSelinux, checkVolumeSigners } from './policy.ts';
import { checkProvenance } from './provenance.ts';
import { checkFiles, checkManifest, checkSameRoot, checkSbom, usrImageName } from './release.ts';
import { verifyThreads } from './threads.ts';
import { checkUki } from './uki.ts';
import type { FoundUsr, ProvenUsr } from './usr.ts';
import { checkRootHashSignature, checkUsrBlocks, checkUsrFiles } from './usr.ts';

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
  /** Compute the SHA-256 of usr.erofs too, which the root hash proves already. */
  readonly allDigests?: boolean;
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
  const { sink } = options;
  return step(sink, { id: 'verify', title: `verify ${target}` }, async (report) => {
    await using own = options.threads === undefined ? verifyThreads() : undefined;
    const threads = options.threads ?? own ?? verifyThreads();
    const release = isFolder(path) ? await openRelease(path) : undefined;
    const list = new CheckList();
    // Everything waits for threads in the end: until then this one works too.
    const facts = await threads.help(runChecks(list, { ...options, path, release, threads }));
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

interface RunInput extends Omit<VerifyImageOptions, 'threads'> {
  /** Of the folder or the disk. */
  readonly path: string;
  readonly release: ReleaseFolder | undefined;
  readonly threads: FileThreads;
}

type DiskFacts = Pick<VerifyReport, 'rootHash' | 'verifiedBytes'>;

async function runChecks(list: CheckList, input: RunInput): Promise<DiskFacts> {
  const { release, threads, trust, allDigests = false } = input;
  if (release === undefined) return verifyDisk(list, { ...input, onUsr: () => undefined });
  await checkManifest(list, release, trust);
  const usr = Promise.withResolvers<ProvenUsr | undefined>();
  // Threads read the files while this one follows the chain on the disk.
  const files = checkFiles(list, release, { threads, usr: usr.promise, allDigests });
  files.catch(() => undefined);
  await checkProvenance(list, release, trust);
  const disk = { ...input, path: release.file('disk.raw'), onUsr: usr.resolve };
  // A chain that ends before /usr proves nothing of it.
  const facts = await verifyDisk(list, disk).finally(() => usr.resolve(undefined));
  await files;
  return facts;
}

interface DiskInput extends RunInput {
  /** Told what is proven of /usr, as soon as it is. */
  readonly onUsr: (usr: ProvenUsr | undefined) => void;
}

async function verifyDisk(list: CheckList, input: DiskInput): Promise<DiskFacts> {
  const { trust, release, path, foreign = false, onUsr } = input;
  using source = openFileSource(path);
  const disk = await checkDisk(list, source, path);
  if (disk === undefined) return { verifiedBytes: 0 };
  const esp = await checkEsp(list, disk, { foreign });
  if (esp === undefined) return { verifiedBytes: 0 };
  const boot = openBootImage(esp.volume.open(esp.uki), trust);
  await checkEspFiles(list, esp, { foreign, trust, boot });
  const [ofUki, ofPolicy, ofUsr] = [list.part(), list.part(), list.part()];
  let begun: BegunUsr | undefined;
  const onRootHash = (rootHash: RootHash): void => {
    begun = beginUsr(ofUsr, { ...input, disk, rootHash });
  };
  const uki = await checkUki(ofUki, { boot, trust, onRootHash });
  if (uki === undefined || begun === undefined) {
    await begun?.proven;
    return { verifiedBytes: 0 };
  }
  const { rootHash, initrd } = uki;
  if (release !== undefined) await checkSameRoot(ofPolicy, release, { rootHash, uki: boot.source });
  if (!foreign) {
    await checkCommandLine(ofPolicy, uki.commandLine);
    await checkIpe(ofPolicy, initrd, trust);
    await checkVolumeSigners(ofPolicy, initrd, trust);
  }
  const partitions = await begun.partitions;
  await checkRootHashSignature(begun.ofSignature, { rootHash, initrd, disk, partitions, trust });
  const proven = await begun.proven;
  if (partitions === undefined) return { rootHash, verifiedBytes: 0 };
  onUsr(proven);
  const usr = await checkUsrFiles(list, { disk, proven });
  const digests = release && usr && digestFiles(usr, input.threads);
  if (!foreign) await checkSelinux(list, usr?.image);
  if (release !== undefined) await checkMeasurements(list, { release, boot, trust });
  if (release !== undefined) await checkSbom(list, { release, usr, digests });
  return { rootHash, verifiedBytes: usr?.image.size ?? 0 };
}

interface BegunUsr {
  readonly partitions: Promise<UsrPartitions | undefined>;
  /** Place of the check of the signature, between the two. */
  readonly ofSignature: CheckList;
  readonly proven: Promise<ProvenUsr | undefined>;
}

/** Threads hash the blocks while the rest of the boot image is looked at. */
function beginUsr(
  list: CheckList,
  input: RunInput & { readonly disk: FoundDisk; readonly rootHash: RootHash },
): BegunUsr {
  const { disk, rootHash, threads, release, signal } = input;
  const partitions = checkUsrPartitions(list, disk, rootHash);
  const ofSignature = list.part();
  const prove = async (): Promise<ProvenUsr | undefined> => {
    const found = await partitions;
    if (found === undefined) return undefined;
    return checkUsrBlocks(list, {
      rootHash,
      disk,
      partitions: found,
      helper: (job) => threads.level(job),
      ...(release !== undefined && { twin: join(release.path, usrImageName) }),
      ...(signal !== undefined && { signal }),
    });
  };
  const proven = prove();
  // Both are waited for further down; until then a failure is not unhandled.
  partitions.catch(() => undefined);
  proven.catch(() => undefined);
  return { partitions, ofSignature, proven };
}

function digestFiles(usr: FoundUsr, threads: FileThreads): Promise<readonly DigestedFile[]> {
  const { image, location, files } = usr;
  const digests = usrDigests(image, { location, files, algorithms: ['sha256'], threads });
  // Begun before it is waited for; the check that asks for it reports what failed.
  digests.catch(() => undefined);
  return digests;
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
