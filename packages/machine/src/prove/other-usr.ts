/** A /usr of somebody else: a valid EROFS with a valid hash tree of its own, tree in a partition of its own. */

import { answerProgram } from './intruder-volume.ts';
import { buildVolume } from './volume.ts';

export interface OtherUsr {
  readonly data: Uint8Array;
  readonly tree: Uint8Array;
}

export function otherUsr(): OtherUsr {
  const { bytes, hashOffset } = buildVolume({
    files: [{ path: 'bin/systemctl', body: answerProgram(), mode: 0o755 }],
    label: () => 'system_u:object_r:bin_t:s0',
    salt: 'another /usr',
  });
  // The superblock is at the start of the tree's area in both layouts, and the tree follows it.
  return { data: bytes.subarray(0, hashOffset), tree: bytes.subarray(hashOffset) };
}
