import type { FuzzTarget } from '@osguard/testkit';
import { defineFuzz } from '@osguard/testkit';
import { buildSpdx, declaredLicense, encodeSpdx, parseSpdx } from '../../src/spdx/index.ts';

const copyright = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
License: GPL-2+ or Artistic, and Expat with odd exception
`;

export const target: FuzzTarget = defineFuzz({
  name: 'spdx',
  seeds: () => [
    Buffer.from(copyright),
    encodeSpdx(
      buildSpdx({
        name: 'h',
        version: '1',
        created: 0,
        tool: 't',
        namespace: 'https://example.org',
        distribution: { id: 'debian', version: '13' },
        packages: [
          {
            name: 'a',
            version: '1',
            architecture: 'all',
            source: { name: 'a', version: '1' },
            copyright: Buffer.from(copyright),
          },
        ],
        files: [{ path: '/usr/a', sha1: 'ab'.repeat(20), sha256: 'ab'.repeat(32) }],
      }),
    ),
  ],
  run(bytes) {
    declaredLicense(bytes);
    parseSpdx(bytes);
  },
});
