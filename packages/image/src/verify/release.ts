/** The release folder: who signed its manifest, whether every file is the one it names, whether the SBOM tells the truth. */

import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { certificateDsseKey, verifyDsse } from '@osguard/formats/dsse';
import { parseSpdx } from '@osguard/formats/spdx';
import type { Keyring } from '@osguard/keys';
import type { FileThreads } from '../files/file-threads.ts';
import type { ReleaseFolder } from '../release/folder.ts';
import { manifestName } from '../release/folder.ts';
import { usrDigests } from '../release/usr-digests.ts';
import type { CheckList } from './checks.ts';
import { CheckFailed } from './checks.ts';
import { compareSparse, compareWhole } from './release-bytes.ts';
import type { FoundUsr } from './usr.ts';

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

/**
 * Every file by size and digest, every byte of a sparse one, and nothing beside them: an unlisted file could be taken
 * for part of the release.
 */
export async function checkFiles(
  list: CheckList,
  release: ReleaseFolder,
  threads: FileThreads,
): Promise<void> {
  await list.check(
    {
      id: 'release-files',
      title: 'every file of the folder is the one the manifest names',
      where: release.path,
    },
    async () => {
      const { files } = release.manifest;
      const missing = files.filter(({ path }) => !existsSync(join(release.path, path)));
      if (missing.length > 0) throw new CheckFailed(`missing: ${missing.map(({ path }) => path).join(', ')}`);
      const sizes = await Promise.all(files.map(({ path }) => stat(join(release.path, path))));
      const resized = files.find((file, index) => sizes[index]?.size !== file.size);
      if (resized !== undefined) {
        throw new CheckFailed('has another size', { expected: `${resized.size} bytes`, where: resized.path });
      }
      const inFolder = { folder: release.path, threads };
      const whole = files.filter((file) => 'sha256' in file);
      const sparse = files.filter((file) => 'pieces' in file);
      await Promise.all([
        compareWhole(whole, inFolder),
        ...sparse.map((file) => compareSparse(file, { ...inFolder, whole })),
      ]);
      const listed = new Set([manifestName, ...files.map(({ path }) => path)]);
      const found = await readdir(release.path, { recursive: true, withFileTypes: true });
      const extra = found
        .filter((entry) => !entry.isDirectory())
        .map((entry) => join(entry.parentPath, entry.name).slice(release.path.length + 1))
        .find((path) => !listed.has(path));
      if (extra !== undefined) throw new CheckFailed('is not in the manifest', { where: extra });
      const bytes = files.reduce((sum, { size }) => sum + size, 0);
      return { found: `${files.length} files, ${bytes} bytes`, value: undefined };
    },
  );
}

/** What lies loose in the folder has to be what the disk boots. */
export async function checkSameRoot(
  list: CheckList,
  release: ReleaseFolder,
  found: { readonly rootHash: string; readonly ukiDigest: string },
): Promise<void> {
  const name = { id: 'release-root-hash', title: 'the disk boots the root hash and the UKI of the release' };
  await list.check({ ...name, expected: release.rootHash }, () => {
    if (found.rootHash !== release.rootHash) throw new CheckFailed(found.rootHash);
    const file = release.manifest.files.find(({ path }) => path === 'uki.efi');
    const listed = file !== undefined && 'sha256' in file ? file.sha256 : undefined;
    if (listed !== found.ukiDigest) {
      throw new CheckFailed(`the UKI on the disk has sha256 ${found.ukiDigest}`, {
        expected: listed ?? 'uki.efi',
      });
    }
    return { found: `${found.rootHash}, UKI ${found.ukiDigest.slice(0, 16)}…`, value: undefined };
  });
}

export interface SbomInput {
  readonly release: ReleaseFolder;
  /** Absent when its blocks are not verified. */
  readonly usr: FoundUsr | undefined;
  readonly threads: FileThreads;
}

/** Every regular file of /usr is in the SBOM with its digest, and every file of the SBOM is in /usr. */
export async function checkSbom(list: CheckList, { release, usr, threads }: SbomInput): Promise<void> {
  const name = {
    id: 'sbom',
    title: 'the bill of materials names every file of /usr with its digest',
    where: sbomName,
  };
  if (usr === undefined) {
    list.missing(name, 'the file system of /usr is not verified');
    return;
  }
  await list.check(name, async () => {
    const path = join(release.path, sbomName);
    if (!existsSync(path)) throw new CheckFailed('is missing');
    if ((await stat(path)).size > largestSbom) throw new CheckFailed('is too large to be one');
    const document = parseSpdx(await readFile(path));
    const listed = new Map(
      document.files.map((file): [string, string] => [
        file.fileName.replace(/^\.?\/*/, '/'),
        file.checksums.find(({ algorithm }) => algorithm === 'SHA256')?.checksumValue ?? '',
      ]),
    );
    const files = await usrDigests(usr.image, { location: usr.location, algorithms: ['sha256'], threads });
    for (const { path: file, digests } of files) {
      const digest = digests[0] ?? '';
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
