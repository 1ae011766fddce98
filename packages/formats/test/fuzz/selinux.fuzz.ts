import type { FuzzTarget } from '@osguard/testkit';
import { defineFuzz } from '@osguard/testkit';
import { compileFileContexts, parseFileContexts, parseFileContextSubs } from '../../src/selinux/index.ts';

const seed = `# comment
/.*	system_u:object_r:default_t:s0
/usr/(.*/)?lib(/.*)?	system_u:object_r:lib_t:s0
/dev/[0-9]{2,3}.*	-c	system_u:object_r:usb_device_t:s0
/etc/a?quota\\.(user|group)	--	system_u:object_r:quota_db_t:s0
/run/[^/]+/x{1,40}	<<none>>
/usr/bin/bash	--	system_u:object_r:shell_exec_t:s0
/lib /usr/lib
`;
const paths = [
  '/',
  '/usr/lib/x/lib/y',
  '/etc/aquota.user',
  '/dev/12',
  `/run/${'x'.repeat(300)}/${'x'.repeat(60)}`,
];

export const target: FuzzTarget = defineFuzz({
  name: 'selinux',
  seeds: () => [Buffer.from(seed)],
  run(bytes) {
    const subs = parseFileContextSubs(bytes);
    const labels = compileFileContexts({ specs: parseFileContexts(bytes), subs });
    for (const path of paths) labels.labelFor(path, 'file');
  },
});
