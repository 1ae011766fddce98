import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { DiagnosticsError } from '@osguard/events';
import type { FuzzTarget } from '@osguard/testkit';
import { defineFuzz } from '@osguard/testkit';

import { parseDefinition } from '../../src/definition/index.ts';

const golden = join(import.meta.dirname, '../golden/definition');

const whole = `schema: osguard/v1
name: host
version: "1.0"
distribution: {suite: trixie, mirror: "https://mirror.example/debian"}
kernel: {line: "7.x"}
packages: [nftables, curl]
files:
  - {path: /etc/motd, content: "hi\\n", mode: "0644"}
units: {enable: [a.service], mask: ["b@.socket"]}
users: [{name: app, uid: 1000, groups: [render]}]
sysctls: {net.ipv4.ip_forward: 1}
kernelArguments: [quiet, "console=ttyS0"]
disk: {usr: 512 MiB}
`;

export const target: FuzzTarget = defineFuzz({
  name: 'definition',
  seeds: () => [
    Buffer.from(whole),
    ...readdirSync(golden)
      .filter((leaf) => leaf.endsWith('.yaml'))
      .map((leaf) => readFileSync(join(golden, leaf))),
  ],
  run: (bytes) => parseDefinition(Buffer.from(bytes).toString('utf8')),
  accepts: (error) => error instanceof DiagnosticsError,
});
