/**
 * A layer made of nothing but a seed: many small files and few large ones as in /usr, their content a mix of text,
 * of records as in programs, and of bytes nothing can compress. gzip makes about a third of it.
 */

import { sourceOf } from '@osguard/formats/bytes';
import type { TarWriteEntry } from '@osguard/formats/tar';
import type { Random } from '@osguard/testkit';
import { seededRandom } from '@osguard/testkit';

/** Far apart enough for no compressor here to see that pieces are used again. Bytes. */
const poolSize = 16 * 2 ** 20;

function words(random: Random): Uint8Array {
  const letters = 'etaoinshrdlucmfwypvbgkjqxz';
  const known = Array.from({ length: 6000 }, () => {
    const length = 2 + random.below(9);
    return Array.from(
      { length },
      () => letters[Math.floor((random.below(100) * random.below(26)) / 100)],
    ).join('');
  });
  const text: string[] = [];
  for (let size = 0; size < poolSize;) {
    // Some words are far more frequent than others.
    const word = known[Math.floor(6000 * (random.below(1000) / 1000) ** 5)] ?? '';
    text.push(word);
    size += word.length + 1;
  }
  return Buffer.from(text.join(' '), 'latin1').subarray(0, poolSize);
}

/** Little numbers, opcodes that come back, addresses that grow. */
function records(random: Random): Uint8Array {
  const bytes = Buffer.alloc(poolSize);
  let address = 0x40_0000;
  for (let at = 0; at + 16 <= poolSize; at += 16) {
    if (at >= 320 && random.below(3) === 0) {
      const earlier = at - 16 * (1 + random.below(19));
      bytes.copyWithin(at, earlier, earlier + 16);
      continue;
    }
    address += 4 * random.below(16);
    bytes.writeUInt8(0x48 + random.below(4), at);
    bytes.writeUInt8(0x80 + random.below(16), at + 1);
    bytes.writeUInt16LE(random.below(20) ** 2, at + 2);
    bytes.writeUInt32LE(address, at + 4);
    if (random.below(8) === 0) bytes.writeUInt32LE(random.below(2 ** 32), at + 8);
    bytes.writeUInt8(random.below(8), at + 12);
  }
  return bytes;
}

function noise(random: Random): Uint8Array {
  const bytes = Buffer.alloc(poolSize);
  for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE(random.below(2 ** 32), at);
  return bytes;
}

/** @param bytes of all files together, about. */
export function* layerEntries(bytes: number, files: number): Generator<TarWriteEntry> {
  const random = seededRandom(5);
  const [text, program, other] = [words(random), records(random), noise(random)];
  const pools = [text, text, text, text, program, program, program, program, program, other];
  const sizes = Array.from(
    { length: files },
    () => (256 + random.below(1024)) * 2 ** Math.floor(Math.log2(1 + random.below(4096))),
  );
  const scale = bytes / sizes.reduce((sum, size) => sum + size, 0);
  const base = { uid: 0, gid: 0, uname: 'root', gname: 'root' };
  const time = (): TarWriteEntry['mtime'] => ({
    seconds: 1_700_000_000 + random.below(2 ** 24),
    nanoseconds: 0,
  });
  const known = new Set<string>();
  for (const [index, size] of sizes.entries()) {
    const folder = `usr/d${Math.floor((index * 40) / files)}/s${Math.floor((index * 400) / files)}`;
    for (const path of ['usr', folder.slice(0, folder.lastIndexOf('/')), folder]) {
      if (known.has(path)) continue;
      known.add(path);
      yield { ...base, kind: 'directory', path, mode: 0o755, mtime: time() };
    }
    const path = `${folder}/file-${index}`;
    const body = bodyOf(Math.round(size * scale), { pools, random });
    yield { ...base, kind: 'file', path, mode: 0o644, mtime: time(), body: sourceOf(body) };
    if (index % 10 === 0) {
      yield {
        ...base,
        kind: 'symlink',
        path: `${folder}/link-${index}`,
        linkPath: `file-${index}`,
        mode: 0o777,
        mtime: time(),
      };
    }
    if (index % 50 === 0) {
      yield {
        ...base,
        kind: 'hardlink',
        path: `${folder}/same-${index}`,
        linkPath: path,
        mode: 0o644,
        mtime: time(),
      };
    }
  }
}

interface Content {
  readonly pools: readonly Uint8Array[];
  readonly random: Random;
}

function bodyOf(size: number, { pools, random }: Content): Uint8Array {
  const pool = pools[random.below(pools.length)] ?? new Uint8Array();
  const body = new Uint8Array(size);
  for (let at = 0; at < size;) {
    const start = random.below(poolSize / 2);
    const piece = pool.subarray(start, start + Math.min(size - at, poolSize / 2));
    body.set(piece, at);
    at += piece.length;
  }
  return body;
}
