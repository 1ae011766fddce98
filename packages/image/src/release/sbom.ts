/** sbom.spdx.json: the packages of the image, and the files of /usr with digests of what is really in it. */

import { createHash } from 'node:crypto';
import { readErofs } from '@osguard/formats/erofs';
import type { SbomFile } from '@osguard/formats/spdx';
import { buildSpdx, encodeSpdx } from '@osguard/formats/spdx';
import type { Definition } from '../definition/index.ts';
import { openFileSource } from '../files/source.ts';
import { writeWhole } from '../files/write.ts';
import type { PackageRecords } from '../root/index.ts';

export interface WriteSbomOptions {
  readonly definition: Definition;
  readonly records: PackageRecords;
  /** The EROFS image of /usr. */
  readonly image: string;
  /** Seconds since 1970. */
  readonly time: number;
}

/** Absolute URI documents are named under; nothing has to be there. */
const namespace = 'https://osguard.invalid/spdx';

export async function writeSbom(
  path: string,
  { definition, records, image, time }: WriteSbomOptions,
): Promise<void> {
  const document = buildSpdx({
    name: definition.name,
    version: definition.version,
    created: time,
    tool: 'osguard-0.1.0',
    namespace,
    distribution: { id: definition.distribution.name, version: definition.distribution.suite },
    packages: records.packages,
    files: [...filesOf(image)],
  });
  await writeWhole(path, encodeSpdx(document));
}

/** Both digests in one pass; SPDX 2.3 clause 8.4 wants SHA-1. */
function* filesOf(image: string): Generator<SbomFile> {
  using source = openFileSource(image);
  const usr = readErofs(source);
  for (const { path, node } of usr.walk()) {
    if (node.type !== 'file') continue;
    const sha1 = createHash('sha1');
    const sha256 = createHash('sha256');
    for (const chunk of usr.chunks(node)) {
      sha1.update(chunk);
      sha256.update(chunk);
    }
    yield { path: `/usr${path}`, sha1: sha1.digest('hex'), sha256: sha256.digest('hex') };
  }
}
