/** What provenance.json says of a build beside the files it made: the definition, and everything that went in. */

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { canonicalJson } from '@osguard/formats/json';
import type { JsonValue } from '@osguard/formats/json';
import type { ProvenanceDependency, ReleaseProvenance } from '@osguard/formats/release';
import type { SbomComponent } from '@osguard/formats/spdx';
import { encodePurl } from '@osguard/formats/spdx';
import type { Keyring } from '@osguard/keys';
import type { LoadedDefinition } from '../definition/index.ts';
import type { Lock } from '../packages/lock.ts';
import { encodeLock } from '../packages/lock.ts';
import { version } from './version.ts';

/** In the release folder. */
export const provenanceName = 'provenance.json';

export interface BuildInputs {
  readonly definition: LoadedDefinition;
  readonly lock: Lock;
  readonly keyring: Keyring;
  /** What came from no Debian package. */
  readonly components: readonly SbomComponent[];
}

/** Nothing of this machine, this day or whoever builds: the same inputs give the same bytes. */
export async function describeBuild(inputs: BuildInputs): Promise<Omit<ReleaseProvenance, 'subjects'>> {
  const { definition: loaded, lock, keyring, components } = inputs;
  const { definition, folder, text } = loaded;
  const { attest, files, layers } = definition;
  const named = [
    ...files.flatMap(({ source }) => source ?? []),
    ...layers.signers.map(({ certificate }) => certificate),
    ...(attest?.ca === undefined ? [] : [attest.ca]),
  ];
  const beside = await Promise.all(
    [...new Set(named)].sort().map(async (name) => ({
      name: `file/${name}`,
      digest: { sha256: sha256(await readFile(resolve(folder, name))) },
    })),
  );
  const certificates = keyring.entries
    .filter(({ role }) => signing.has(role) || (role === 'verifier' && attest !== undefined))
    .map(({ name, certificate }) => ({
      name: `certificate/${name}`,
      digest: { sha256: sha256(certificate.der) },
    }));
  const others = components.map(({ type, name, version: itsVersion }) => {
    const [plain = '', scope] = name.split('/').reverse();
    const uri = encodePurl({
      type,
      ...(scope !== undefined && { namespace: scope }),
      name: plain,
      version: itsVersion,
    });
    return { name, uri };
  });
  return {
    definition: plainObject(definition),
    time: lock.time,
    osguard: version,
    dependencies: [
      { name: 'definition', digest: { sha256: sha256(text) } },
      { name: 'osguard.lock', digest: { sha256: sha256(encodeLock(lock)) } },
      ...beside,
      ...certificates,
      ...others,
      ...lockDependencies(lock),
    ],
  };
}

/** Roles whose certificates decide bytes of a release. */
const signing: ReadonlySet<string> = new Set(['platform', 'exchange', 'boot', 'usr', 'layers', 'release']);

/** The packages of a lock, in its order. */
export function lockDependencies({ packages, suite }: Lock): readonly ProvenanceDependency[] {
  return packages.map(({ name, version: itsVersion, architecture, sha256: digest }) => {
    const qualifiers = { arch: architecture, distro: `debian-${suite}` };
    const uri = encodePurl({ type: 'deb', namespace: 'debian', name, version: itsVersion, qualifiers });
    return { name, uri, digest: { sha256: digest } };
  });
}

/** Whether a dependency is a package of a Debian archive. */
export function isDebianPackage({ uri }: ProvenanceDependency): boolean {
  return uri?.startsWith('pkg:deb/') === true;
}

function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Without members that are undefined. */
function plainObject(value: object): Readonly<Record<string, JsonValue>> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- an object becomes one
  return JSON.parse(canonicalJson(value)) as Readonly<Record<string, JsonValue>>;
}
