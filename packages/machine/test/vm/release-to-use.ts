/** The container host that tests boot: the one `./test` built for all of them, or one of the test's own. */

import { join } from 'node:path';

import { buildImage, defaultCacheFolder, openRelease } from '@osguard/image';
import type { ReleaseFolder } from '@osguard/image';
import { initKeys, loadKeyring } from '@osguard/keys';
import type { Keyring } from '@osguard/keys';
import { buildNodeExecutable } from '@osguard/node';
import type { Scratch } from '@osguard/testkit';

const definition = join(import.meta.dirname, '../../../../definitions/container-host.yaml');

export interface ReleaseToUse {
  readonly release: ReleaseFolder;
  readonly keyring: Keyring;
}

/** `OSGUARD_RELEASE` and `OSGUARD_KEYS` name one that is there; it must be left as it is. Without them it is built below `folder`. */
export async function releaseToUse(folder: Scratch): Promise<ReleaseToUse> {
  const { OSGUARD_RELEASE: ready, OSGUARD_KEYS: keys } = process.env;
  if (ready !== undefined && keys !== undefined) {
    return { release: await openRelease(ready), keyring: await loadKeyring(keys) };
  }
  await initKeys(folder.file('keys'));
  const keyring = await loadKeyring(folder.file('keys'));
  const cacheFolder = defaultCacheFolder();
  const { release } = await buildImage({
    definition,
    keyring,
    output: folder.file('release'),
    cacheFolder,
    nodeProgram: () => buildNodeExecutable({ cacheFolder }),
    sink: () => undefined,
  });
  return { release, keyring };
}
