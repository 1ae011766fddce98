import { sourceOf } from '@osguard/formats/bytes';
import { readTar, safePath, writeTar } from '@osguard/formats/tar';
import type { TarWriteEntry } from '@osguard/formats/tar';
import type { FuzzTarget } from '@osguard/testkit';
import { defineFuzz } from '@osguard/testkit';

const base = { mode: 0o755, uid: 0, gid: 0, mtime: { seconds: -5, nanoseconds: 1 } };
const entries: readonly TarWriteEntry[] = [
  { ...base, path: 'd', kind: 'directory' },
  { ...base, path: `d/${'ä'.repeat(99)}`, kind: 'file', body: sourceOf(new Uint8Array(700)) },
  { ...base, path: 'd/l', kind: 'symlink', linkPath: '../x' },
  { ...base, path: 'x', kind: 'file', xattrs: new Map([['user.a', new Uint8Array(9)]]) },
];

/** A copy with right header checksums, so that what lies behind them is reached. */
function repairChecksums(broken: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(broken);
  for (let at = 0; at + 512 <= bytes.length; at += 512) {
    const block = bytes.subarray(at, at + 512);
    if (Buffer.from(block.subarray(257, 262)).toString('latin1') !== 'ustar') continue;
    block.fill(0x20, 148, 156);
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.set(Buffer.from(`${sum.toString(8).padStart(6, '0')}\0 `, 'latin1'), 148);
  }
  return bytes;
}

function readAll(bytes: Uint8Array, chunk: number): void {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += chunk) chunks.push(bytes.subarray(at, at + chunk));
  for (const event of readTar(chunks)) if (event.type === 'entry') safePath(event.entry.path);
}

export const target: FuzzTarget = defineFuzz({
  name: 'tar',
  seeds: () => [Buffer.concat([...writeTar(entries)]), Buffer.concat([...writeTar(entries.slice(2))])],
  run(bytes) {
    try {
      readAll(bytes, 333);
    } finally {
      readAll(repairChecksums(bytes), 4096);
    }
  },
});
