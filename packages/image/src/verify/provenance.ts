/** provenance.json: who signed it, whether it speaks of exactly these files, and of the packages of this lock. */

import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { certificateDsseKey, inTotoPayloadType, parseDsse, verifyDsse } from '@osguard/formats/dsse';
import { canonicalJson } from '@osguard/formats/json';
import type { ReleaseProvenance } from '@osguard/formats/release';
import { parseProvenance, provenanceSubjects } from '@osguard/formats/release';
import type { Keyring } from '@osguard/keys';
import { parseLock } from '../packages/lock.ts';
import type { ReleaseFolder } from '../release/folder.ts';
import { isDebianPackage, lockDependencies, provenanceName } from '../release/provenance.ts';
import type { CheckList } from './checks.ts';
import { CheckFailed } from './checks.ts';

const lockName = 'osguard.lock';
/** Bytes. That of a host of 150 packages has 80 kB. */
const largest = 64 * 1024 * 1024;

export async function checkProvenance(
  list: CheckList,
  release: ReleaseFolder,
  trust: Keyring,
): Promise<void> {
  const name = {
    id: 'provenance',
    title: 'the provenance is signed by the role release, and of these files and this lock',
    where: provenanceName,
  };
  await list.check(name, () => {
    const envelope = parseDsse(read(release, provenanceName));
    if (envelope.payloadType !== inTotoPayloadType) {
      throw new CheckFailed(`payload type ${envelope.payloadType}`, { expected: inTotoPayloadType });
    }
    const keys = trust.certificates('release').map((certificate) => certificateDsseKey(certificate));
    const { signedBy } = verifyDsse(envelope, keys);
    if (signedBy.length === 0) throw new CheckFailed('no trusted key of the role release signed it');
    const provenance = parseProvenance(envelope.payload);
    compareSubjects(provenance, release);
    compareInputs(provenance, release);
    const { dependencies, osguard } = provenance;
    return {
      found: `${signedBy.join(', ')}: osguard ${osguard}, ${dependencies.length} inputs`,
      value: undefined,
    };
  });
}

function read(release: ReleaseFolder, name: string): Uint8Array {
  const path = join(release.path, name);
  if (!existsSync(path)) throw new CheckFailed('is missing', { where: name });
  if (statSync(path).size > largest) throw new CheckFailed('is too large to be one', { where: name });
  return readFileSync(path);
}

/** The files of the manifest, each with its digest; the digests themselves are looked at with those of all files. */
function compareSubjects({ subjects }: ReleaseProvenance, { manifest }: ReleaseFolder): void {
  const expected = provenanceSubjects(manifest.files.filter(({ path }) => path !== provenanceName));
  const digests = new Map(subjects.map(({ name, digest }) => [name, canonicalJson(digest)]));
  for (const { name, digest } of expected) {
    const found = digests.get(name);
    if (found === undefined) throw new CheckFailed(`names no ${name}`);
    const wanted = canonicalJson(digest);
    if (found !== wanted) throw new CheckFailed(`${name}: ${found}`, { expected: wanted });
    digests.delete(name);
  }
  const [left] = digests.keys();
  if (left !== undefined) throw new CheckFailed(`names ${left}, which is not in the release`);
}

function compareInputs({ definition, dependencies, time }: ReleaseProvenance, release: ReleaseFolder): void {
  for (const key of ['name', 'version', 'architecture'] as const) {
    if (definition[key] === release.manifest[key]) continue;
    throw new CheckFailed(`is of a definition with the ${key} ${canonicalJson(definition[key] ?? null)}`, {
      expected: release.manifest[key],
    });
  }
  const bytes = read(release, lockName);
  const lock = parseLock(Buffer.from(bytes).toString('utf8'), lockName);
  const digest = createHash('sha256').update(bytes).digest('hex');
  const named = dependencies.find(({ name }) => name === lockName)?.digest?.sha256;
  if (named !== digest) {
    throw new CheckFailed(`is of the lock ${named ?? '(none)'}`, {
      expected: `sha256 ${digest}`,
      where: lockName,
    });
  }
  if (time !== lock.time) throw new CheckFailed(`dates the build ${time}`, { expected: String(lock.time) });
  const packages = dependencies.filter(isDebianPackage).map((each) => canonicalJson(each));
  const locked = lockDependencies(lock).map((each) => canonicalJson(each));
  const different = locked.findIndex((each, index) => packages[index] !== each);
  if (different !== -1 || packages.length !== locked.length) {
    const at = different === -1 ? locked.length : different;
    throw new CheckFailed(packages[at] ?? 'one package less', { expected: locked[at] ?? 'no more packages' });
  }
}
