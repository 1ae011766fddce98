import { sourceOf } from '@osguard/formats/bytes';
import { readCpio, writeCpio } from '@osguard/formats/cpio';
import type { CpioEntry } from '@osguard/formats/cpio';
import type { FuzzTarget } from '@osguard/testkit';
import { defineFuzz } from '@osguard/testkit';

const base = { mode: 0o755, uid: 0, gid: 0, mtime: 0 };
const entries: readonly CpioEntry[] = [
  { ...base, path: 'dev', kind: 'directory' },
  { ...base, path: 'dev/null', kind: 'character-device', major: 1, minor: 3 },
  { ...base, path: 'init', kind: 'file', body: sourceOf(Buffer.from('#!/bin/true')), links: ['also'] },
  { ...base, path: 'bin', kind: 'symlink', target: 'usr/bin' },
];

export const target: FuzzTarget = defineFuzz({
  name: 'cpio',
  seeds() {
    const one = Buffer.concat([...writeCpio(entries)]);
    const summed = Buffer.from(one.toString('latin1').replace('070701', '070702'), 'latin1');
    return [one, Buffer.concat([one, new Uint8Array(512), one]), summed];
  },
  run(bytes) {
    for (const entry of readCpio(sourceOf(bytes), { onTail: () => undefined })) {
      entry.body.read(0, entry.body.size);
    }
  },
});
