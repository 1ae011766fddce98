/** Inline tails wait here from the moment their file is written until the inodes are: the last thing in an image. */

/** Bytes kept and given back; a caller with many files puts a spill file behind it. */
export interface TailStore {
  /** Copies `bytes` and returns the handle to read them with. */
  append(bytes: Uint8Array): number;
  /** The bytes of one handle; valid until the next call. */
  read(handle: number, length: number): Uint8Array;
}

const pieceSize = 1 << 20;

/** The default: everything in memory, on average half a block per file. */
export function memoryTailStore(): TailStore {
  const pieces: Uint8Array[] = [];
  let used = pieceSize;
  return {
    append(bytes) {
      let piece = pieces.at(-1);
      if (piece === undefined || used + bytes.length > pieceSize) {
        piece = new Uint8Array(pieceSize);
        pieces.push(piece);
        used = 0;
      }
      piece.set(bytes, used);
      const handle = (pieces.length - 1) * pieceSize + used;
      used += bytes.length;
      return handle;
    },
    read(handle, length) {
      const at = handle % pieceSize;
      return (pieces[(handle - at) / pieceSize] ?? new Uint8Array(0)).subarray(at, at + length);
    },
  };
}
