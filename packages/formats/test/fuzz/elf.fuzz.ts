import { readFileSync } from 'node:fs';
import { sourceOf } from '@osguard/formats/bytes';
import { parseElf } from '@osguard/formats/elf';
import type { FuzzTarget } from '@osguard/testkit';
import { defineFuzz } from '@osguard/testkit';

export const target: FuzzTarget = defineFuzz({
  name: 'elf',
  seeds: () => ['/bin/true', '/lib64/ld-linux-x86-64.so.2'].map((path) => readFileSync(path)),
  run: (bytes) => parseElf(sourceOf(bytes)),
});
