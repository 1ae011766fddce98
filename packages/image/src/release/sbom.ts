/** sbom.spdx.json: the packages of the image, and the files of /usr with digests of what is really in it. */

import { readErofs } from '@osguard/formats/erofs';
import type { SbomComponent } from '@osguard/formats/spdx';
import { buildSpdx, encodeSpdx } from '@osguard/formats/spdx';
import type { Definition } from '../definition/index.ts';
import type { FileThreads } from '../files/file-threads.ts';
import { openFileSource } from '../files/source.ts';
import { writeWhole } from '../files/write.ts';
import type { PackageRecords } from '../root/index.ts';
import { usrDigests } from './usr-digests.ts';
import { version } from './version.ts';

export interface WriteSbomOptions {
  readonly definition: Definition;
  readonly records: PackageRecords;
  /** The EROFS image of /usr. */
  readonly image: string;
  /** What came from no Debian package. */
  readonly components?: readonly SbomComponent[];
  /** Seconds since 1970. */
  readonly time: number;
  readonly threads: FileThreads;
}

/** Absolute URI documents are named under; nothing has to be there. */
const namespace = 'https://osguard.invalid/spdx';

export async function writeSbom(
  path: string,
  { definition, records, components = [], image, time, threads }: WriteSbomOptions,
): Promise<void> {
  using source = openFileSource(image);
  // SPDX 2.3 clause 8.4 wants SHA-1.
  const files = await usrDigests(readErofs(source), {
    location: { path: image, offset: 0 },
    algorithms: ['sha1', 'sha256'],
    threads,
  });
  const document = buildSpdx({
    name: definition.name,
    version: definition.version,
    created: time,
    tool: `osguard-${version}`,
    namespace,
    distribution: { id: definition.distribution.name, version: definition.distribution.suite },
    packages: records.packages,
    components,
    files: files.map(({ path: file, digests: [sha1 = '', sha256 = ''] }) => ({ path: file, sha1, sha256 })),
  });
  await writeWhole(path, encodeSpdx(document));
}
