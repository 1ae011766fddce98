/** What dpkg's database in an installed tree says: packages, their files and their copyright texts. */

import type { DebianPackage } from '@osguard/formats/deb822';
import { parsePackageList } from '@osguard/formats/deb822';

import type { Lock } from '../packages/index.ts';
import { ownPackage } from '../packages/index.ts';
import { BodyReader } from '../tree/index.ts';
import type { RootTree } from '../tree/index.ts';

export interface PackageRecord extends DebianPackage {
  /** Of the .deb. Lower-case hexadecimal. */
  readonly sha256?: string;
  /** The package's `copyright` file, when it ships one. */
  readonly copyright?: Uint8Array;
  /** Paths it placed, without leading slash, links of the root (`lib`) resolved. */
  readonly files: readonly string[];
}

export interface PackageRecords {
  /** Sorted by name. */
  readonly packages: readonly PackageRecord[];
  /** Path to the name of the package that placed it. */
  readonly owners: ReadonlyMap<string, string>;
}

const database = 'var/lib/dpkg';

/** Call it before anything is pruned. @throws FormatError when the database is not one */
export function readPackageRecords(tree: RootTree, lock?: Lock): PackageRecords {
  using bodies = new BodyReader();
  const status = tree.get(`${database}/status`);
  const listed = status === undefined ? [] : parsePackageList(bodies.read(status), 'dpkg status');
  const digests = new Map(lock?.packages.map(({ name, sha256 }) => [name, sha256]));
  const owners = new Map<string, string>();
  const packages = listed
    .filter(({ name }) => name !== ownPackage)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((entry): PackageRecord => {
      const files = filesOf(tree, entry, bodies);
      for (const path of files) if (tree.get(path)?.type !== 'directory') owners.set(path, entry.name);
      const copyright = tree.lookup(`usr/share/doc/${entry.name}/copyright`);
      const sha256 = digests.get(entry.name);
      return Object.assign({}, entry, {
        files,
        ...(sha256 !== undefined && { sha256 }),
        ...(copyright?.type === 'file' && { copyright: Uint8Array.from(bodies.read(copyright)) }),
      });
    });
  return { packages, owners };
}

function filesOf(
  tree: RootTree,
  { name, architecture }: DebianPackage,
  bodies: BodyReader,
): readonly string[] {
  const info = `${database}/info`;
  const list = tree.get(`${info}/${name}.list`) ?? tree.get(`${info}/${name}:${architecture}.list`);
  if (list === undefined) return [];
  return bodies
    .text(list)
    .split('\n')
    .flatMap((line) => (line === '' || line === '/.' ? [] : [realPath(tree, line.slice(1))]));
}

/** A package may place its file through a link of the root, such as /lib. */
function realPath(tree: RootTree, path: string): string {
  const slash = path.lastIndexOf('/');
  if (slash === -1) return path;
  const folder = tree.resolve(path.slice(0, slash));
  return folder === undefined ? path : `${folder}${path.slice(slash)}`;
}
