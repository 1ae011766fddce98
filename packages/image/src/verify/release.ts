/** The release folder: who signed its manifest, whether every file is the one it names, whether the SBOM tells the truth. */

import { existsSync, readFileSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ByteSource } from '@osguard/formats/bytes';
import { certificateDsseKey, verifyDsse } from '@osguard/formats/dsse';
import type { ReleasePiece, WholeReleaseFile } from '@osguard/formats/release';
import { parseSpdx } from '@osguard/formats/spdx';
import type { Keyring } from '@osguard/keys';
import type { FileThreads } from '../files/file-threads.ts';
import { openFileSource } from '../files/source.ts';
import type { ReleaseFolder } from '../release/folder.ts';
import { manifestName } from '../release/folder.ts';
import type { DigestedFile } from '../release/usr-digests.ts';
import type { CheckList } from './checks.ts';
import { CheckFailed } from './checks.ts';
import { checkGaps, comparePieces, compareWhole, isTwin } from './release-bytes.ts';
import type { FoundUsr, ProvenUsr } from './usr.ts';

const ukiName = 'uki.efi';
/** Compared at once. Bytes. */
const pieceSize = 128 * 1024;
const sbomName = 'sbom.spdx.json';
/** Bytes. A host of 150 packages has a bill of 2 MB. */
const largestSbom = 256 * 1024 * 1024;

export async function checkManifest(list: CheckList, release: ReleaseFolder, trust: Keyring): Promise<void> {
  await list.check(
    { id: 'release-signature', title: 'release.json is signed by the role release', where: manifestName },
    () => {
      const keys = trust.certificates('release').map((certificate) => certificateDsseKey(certificate));
      if (keys.length === 0) throw new CheckFailed('no certificate of the role release is trusted');
      const { signedBy } = verifyDsse(release.envelope, keys);
      if (signedBy.length === 0) throw new CheckFailed('no trusted key signed it');
      return { found: signedBy.join(', '), value: undefined };
    },
  );
}

/** The image of /usr by itself. */
export const usrImageName = 'usr.erofs';

export interface FilesInput {
  readonly threads: FileThreads;
  /** What the chain on the disk proved of /usr; undefined when it did not. */
  readonly usr: Promise<ProvenUsr | undefined>;
  /** Compute the digest of the image of /usr too, whatever is proven of it. */
  readonly allDigests: boolean;
}

/**
 * Every file by size and digest, every byte of a sparse one, and nothing beside them: an unlisted file could be taken
 * for part of the release. The image of /usr has a shorter proof: {@link provesImage}.
 */
export async function checkFiles(list: CheckList, release: ReleaseFolder, input: FilesInput): Promise<void> {
  const { threads, usr, allDigests } = input;
  const name = {
    id: 'release-files',
    title: 'every file of the folder is the one the manifest names',
    where: release.path,
  };
  await list.check(name, async () => {
    const { files } = release.manifest;
    const missing = files.filter(({ path }) => !existsSync(join(release.path, path)));
    if (missing.length > 0) throw new CheckFailed(`missing: ${missing.map(({ path }) => path).join(', ')}`);
    const resized = files.find(({ path, size }) => statSync(join(release.path, path)).size !== size);
    if (resized !== undefined) {
      throw new CheckFailed('has another size', { expected: `${resized.size} bytes`, where: resized.path });
    }
    const inFolder = { folder: release.path, threads };
    const whole = files.filter((file) => 'sha256' in file);
    const sparse = files.filter((file) => 'pieces' in file);
    const image = whole.find(({ path }) => path === usrImageName);
    const isOfImage = (piece: ReleasePiece): boolean => image !== undefined && isTwin(image, piece);
    const ofImage = async (): Promise<boolean> => {
      const proven = await usr;
      if (image === undefined) return false;
      const isProven = proven !== undefined && provesImage(proven, { release, image });
      const compared = (piece: ReleasePiece): boolean => isProven && piece.offset === proven.offset;
      const which = (piece: ReleasePiece): boolean => isOfImage(piece) && !compared(piece);
      await Promise.all([
        isProven && !allDigests ? undefined : compareWhole([image], inFolder),
        ...sparse.map((file) => comparePieces(file, { ...inFolder, whole, which })),
      ]);
      return isProven && !allDigests;
    };
    const others = whole.filter((file) => file !== image);
    const [byRootHash] = await Promise.all([
      ofImage(),
      compareWhole(others, inFolder),
      ...sparse.flatMap((file) => [
        comparePieces(file, { ...inFolder, whole, which: (piece) => !isOfImage(piece) }),
        checkGaps(file, inFolder),
      ]),
    ]);
    const listed = new Set([manifestName, ...files.map(({ path }) => path)]);
    const found = await readdir(release.path, { recursive: true, withFileTypes: true });
    const extra = found
      .filter((entry) => !entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name).slice(release.path.length + 1))
      .find((path) => !listed.has(path));
    if (extra !== undefined) throw new CheckFailed('is not in the manifest', { where: extra });
    const bytes = files.reduce((sum, { size }) => sum + size, 0);
    const how = byRootHash
      ? `; ${usrImageName} by the root hash, its sha256 was not computed (--all-digests does)`
      : '';
    return { found: `${files.length} files, ${bytes} bytes${how}`, value: undefined };
  });
}

/**
 * The manifest names the root hash, every block on the disk is the one that root hash names, and every byte of the image
 * is the one on the disk: it can be no other image, and its SHA-256 would say nothing more about its bytes.
 */
function provesImage(
  proven: ProvenUsr,
  { release, image }: { readonly release: ReleaseFolder; readonly image: WholeReleaseFile },
): boolean {
  return proven.rootHash === release.rootHash && proven.size === image.size && proven.twinIsSame;
}

/** What lies loose in the folder has to be what the disk boots. */
export async function checkSameRoot(
  list: CheckList,
  release: ReleaseFolder,
  found: { readonly rootHash: string; readonly uki: ByteSource },
): Promise<void> {
  const name = { id: 'release-root-hash', title: 'the disk boots the root hash and the UKI of the release' };
  await list.check({ ...name, expected: release.rootHash }, () => {
    if (found.rootHash !== release.rootHash) throw new CheckFailed(found.rootHash);
    // Its digest is looked at with those of all files.
    if (!release.manifest.files.some((file) => file.path === ukiName && 'sha256' in file)) {
      throw new CheckFailed('is not in the manifest', { where: ukiName });
    }
    using file = openFileSource(release.file(ukiName));
    const at = firstDifference(found.uki, file);
    if (at !== undefined) {
      throw new CheckFailed(`byte ${at} of the UKI on the disk is another one`, { expected: ukiName });
    }
    return { found: `${found.rootHash}, ${ukiName} of ${file.size} bytes`, value: undefined };
  });
}

/** Where two sources of different files differ, the end of the shorter one included. */
function firstDifference(a: ByteSource, b: ByteSource): number | undefined {
  const common = Math.min(a.size, b.size);
  for (let at = 0; at < common; at += pieceSize) {
    const length = Math.min(pieceSize, common - at);
    const bytes = a.read(at, length);
    const others = b.read(at, length);
    if (Buffer.compare(bytes, others) !== 0) {
      return at + bytes.findIndex((octet, index) => octet !== others[index]);
    }
  }
  return a.size === b.size ? undefined : common;
}

export interface SbomInput {
  readonly release: ReleaseFolder;
  /** Absent when its blocks are not verified. */
  readonly usr: FoundUsr | undefined;
  /** Of every file of `usr`, SHA-256 alone; being computed. */
  readonly digests: Promise<readonly DigestedFile[]> | undefined;
}

/** Every regular file of /usr is in the SBOM with its digest, and every file of the SBOM is in /usr. */
export async function checkSbom(list: CheckList, { release, usr, digests }: SbomInput): Promise<void> {
  const name = {
    id: 'sbom',
    title: 'the bill of materials names every file of /usr with its digest',
    where: sbomName,
  };
  if (usr === undefined || digests === undefined) {
    list.missing(name, 'the file system of /usr is not verified');
    return;
  }
  await list.check(name, async () => {
    const path = join(release.path, sbomName);
    if (!existsSync(path)) throw new CheckFailed('is missing');
    if (statSync(path).size > largestSbom) throw new CheckFailed('is too large to be one');
    const document = parseSpdx(readFileSync(path));
    const listed = new Map(
      document.files.map((file): [string, string] => [
        file.fileName.replace(/^\.?\/*/, '/'),
        file.checksums.find(({ algorithm }) => algorithm === 'SHA256')?.checksumValue ?? '',
      ]),
    );
    const files = await digests;
    for (const {
      path: file,
      digests: [digest = ''],
    } of files) {
      const expected = listed.get(file);
      if (expected !== digest)
        throw new CheckFailed(`sha256 ${digest}`, { expected: expected ?? 'not listed', where: file });
      listed.delete(file);
    }
    const [left] = listed.keys();
    if (left !== undefined) throw new CheckFailed('is listed but not in /usr', { where: left });
    return { found: `${document.packages.length} packages, ${files.length} files`, value: undefined };
  });
}
