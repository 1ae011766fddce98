import { parsePolicy } from '@osguard/attest';
import { DiagnosticsError } from '@osguard/events';
import { defineFuzz } from '@osguard/testkit';
import type { FuzzTarget } from '@osguard/testkit';

const whole = `schema: osguard/attest-policy/v1
name: production
trust:
  endorsement: {roots: [a.pem], intermediates: [b.pem], keys: ["${'ab'.repeat(32)}"]}
  release: [release.crt]
releases:
  - {folder: "1.1", state: promoted, from: "2026-11-01T00:00:00Z"}
  - {folder: "1.0", state: deprecated, until: "2026-12-01T00:00:00Z"}
minimumVersion: "1.0"
rollbackProtection: false
quote: {pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16], maximumAge: 90s, clockSkew: 5s}
firmware: {versions: [edk2], dbx: ["${'00'.repeat(32)}"], pcr0: [], drivers: []}
token: {lifetime: 1h}
`;

export const target: FuzzTarget = defineFuzz({
  name: 'attest-policy',
  seeds: () => [Buffer.from(whole)],
  run: (bytes) => parsePolicy(Buffer.from(bytes).toString('utf8')),
  accepts: (error) => error instanceof DiagnosticsError,
});
