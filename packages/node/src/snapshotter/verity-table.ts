/** What the kernel itself says of an open volume: its device-mapper table (Linux, admin-guide/device-mapper/verity). */

export interface ExpectedTable {
  /** Lower-case hex. */
  readonly rootHash: string;
  /** Where the dm-verity superblock lies behind the data, in bytes. */
  readonly hashOffset: number;
  /** Whether the kernel must have been given a signature: it opens such a volume only when the signature is good. */
  readonly signed: boolean;
}

const blockSize = 4096;
const sector = 512;

/**
 * Whether `table`, as dmsetup(8) prints it, is one dm-verity target over exactly this data with exactly this root hash and
 * no option that would have the kernel pass over a wrong block.
 */
export function isTableOf(table: string, { rootHash, hashOffset, signed }: ExpectedTable): boolean {
  const lines = table.trim().split('\n');
  const [start, length, target, version, , , ...rest] = (lines[0] ?? '').split(' ');
  const [dataBlock, treeBlock, blocks, , algorithm, digest, , ...options] = rest;
  const isOptions = signed
    ? options.length === 3 && options[0] === '2' && options[1] === 'root_hash_sig_key_desc'
    : options.length === 0;
  return (
    lines.length === 1 &&
    start === '0' &&
    target === 'verity' &&
    version === '1' &&
    dataBlock === String(blockSize) &&
    treeBlock === String(blockSize) &&
    blocks === String(hashOffset / blockSize) &&
    length === String(hashOffset / sector) &&
    algorithm === 'sha256' &&
    digest === rootHash &&
    isOptions
  );
}
