import type { FuzzTarget } from '@osguard/testkit';
import { defineFuzz } from '@osguard/testkit';

import { ImageError } from '../../src/error.ts';
import type { Lock } from '../../src/packages/index.ts';
import { encodeLock, parseLock } from '../../src/packages/index.ts';

const lock: Lock = {
  schema: 'osguard-lock/v1',
  architecture: 'amd64',
  suite: 'trixie',
  time: 1_700_000_000,
  request: { base: ['systemd', 'linux-image-cloud-amd64/trixie-backports'], extra: ['curl'] },
  packages: ['curl', 'systemd'].map((name) => ({
    name,
    version: '1:2.0-1~deb13u1',
    architecture: 'amd64',
    archive: 'debian',
    path: `pool/main/${name[0]}/${name}/${name}_2.0-1%7edeb13u1_amd64.deb`,
    size: 1234,
    sha256: '0'.repeat(64),
    stage: 'base',
  })),
};

export const target: FuzzTarget = defineFuzz({
  name: 'lock',
  seeds: () => [Buffer.from(encodeLock(lock))],
  run: (bytes) => encodeLock(parseLock(Buffer.from(bytes).toString('utf8'))),
  accepts: (error) => error instanceof ImageError,
});
