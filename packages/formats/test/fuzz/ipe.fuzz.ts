import type { FuzzTarget } from '@osguard/testkit';
import { defineFuzz } from '@osguard/testkit';
import { checkIpePolicy, encodeIpePolicy, evaluateIpePolicy, ipeOperations } from '../../src/ipe/index.ts';

const seed = `policy_name=container-host policy_version=1.20.300 # comment
DEFAULT action=DENY
DEFAULT op=KMODULE action=ALLOW
op=EXECUTE dmverity_roothash=sha256:00ff11 action=DENY
op=EXECUTE boot_verified=TRUE action=ALLOW
op=EXECUTE dmverity_signature=TRUE fsverity_digest=sha512:aa action=ALLOW
`;

export const target: FuzzTarget = defineFuzz({
  name: 'ipe',
  seeds: () => [Buffer.from(seed)],
  run(bytes) {
    const { policy } = checkIpePolicy(bytes);
    if (policy === undefined) return;
    encodeIpePolicy(policy);
    for (const op of ipeOperations) evaluateIpePolicy(policy, { op, bootVerified: true });
  },
});
