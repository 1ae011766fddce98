import type { FuzzTarget } from '@osguard/testkit';
import { defineFuzz } from '@osguard/testkit';
import { compareDebianVersions, parseDeb822, parsePackageList } from '../../src/deb822/index.ts';

const seed = `Package: libfoo1
Source: foo (1:2-3)
Version: 1:2-3+b1
Installed-Size: 12
Architecture: amd64
Filename: pool/f.deb
Size: 77
SHA256: ${'ab'.repeat(32)}
Description: the foo
 more

Package: bar
Status: install ok installed
Version: 2.0~rc1
Architecture: all
`;

export const target: FuzzTarget = defineFuzz({
  name: 'deb822',
  seeds: () => [Buffer.from(seed)],
  run(bytes) {
    for (const stanza of parseDeb822(bytes, { comments: true })) stanza.get('Version');
    const [first, second] = parsePackageList(bytes);
    if (first !== undefined && second !== undefined) compareDebianVersions(first.version, second.version);
  },
});
