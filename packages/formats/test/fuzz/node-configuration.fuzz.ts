import type { FuzzTarget } from '@osguard/testkit';
import { defineFuzz } from '@osguard/testkit';
import { encodeNodeConfiguration, parseNodeConfiguration } from '../../src/node-configuration/index.ts';

export const target: FuzzTarget = defineFuzz({
  name: 'node-configuration',
  seeds: () => [
    Buffer.from(
      encodeNodeConfiguration({
        schema: 'osguard/node/v1',
        release: { name: 'host', version: '1' },
        attest: { verifier: 'https://10.0.2.2:7443', ca: 'PEM', interval: 300 },
      }),
    ),
  ],
  run: (bytes) => parseNodeConfiguration(Buffer.from(bytes).toString('utf8')),
});
