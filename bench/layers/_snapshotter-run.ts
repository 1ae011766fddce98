/**
 * The snapshotter in a process of its own: `STATE MOUNTS SOCKET CONTENT KEYS`. Everything is what runs on a host but the
 * kernel's part: this machine's kernel may lack dm-verity, so signature and tree are checked here before the mount.
 */

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { allSignersGood, verifyRootHashSignature } from '@osguard/formats/cms';
import { parseRootHash } from '@osguard/formats/verity';
import { loadKeyring } from '@osguard/keys';
import { verifyVerity } from '@osguard/image/verity';
import type { Layer, LayerFiles, Volumes } from '@osguard/node/snapshotter';
import { mountedFolders, SnapshotterError, startSnapshotter } from '@osguard/node/snapshotter';

const [state = '', mounts = '', socket = '', content = '', keys = ''] = process.argv.slice(2);
const keyring = await loadKeyring(keys);
const signer = keyring.certificate('layers');

class LoopVolumes implements Volumes {
  async open(layer: Layer, { image, signature }: LayerFiles): Promise<string> {
    const folder = join(mounts, String(layer.id));
    if ((await mountedFolders()).has(folder)) return folder;
    const trusted = { trusted: [signer] };
    const good =
      signature !== undefined &&
      allSignersGood(verifyRootHashSignature(readFileSync(signature), layer.rootHash, trusted)) &&
      (
        await verifyVerity({
          data: { path: image },
          tree: { path: image },
          hashOffset: layer.hashOffset,
          rootHash: parseRootHash(layer.rootHash),
          threads: 1,
        })
      ).ok;
    if (!good) throw new SnapshotterError('layer-refused', `${layer.rootHash} is not what was signed`);
    mkdirSync(folder, { recursive: true });
    execFileSync('mount', ['-t', 'erofs', '-o', 'loop,ro', image, folder]);
    return folder;
  }

  async close(id: number): Promise<void> {
    const folder = join(mounts, String(id));
    if ((await mountedFolders()).has(folder)) execFileSync('umount', [folder]);
    try {
      rmdirSync(folder);
    } catch {
      // It was never made.
    }
  }

  async opened(): Promise<readonly number[]> {
    const folders = [...(await mountedFolders()).keys()].filter((path) => path.startsWith(`${mounts}/`));
    return folders.map((path) => Number(path.slice(mounts.length + 1)));
  }

  async damaged(): Promise<ReadonlySet<string>> {
    return new Set();
  }
}

await using snapshotter = await startSnapshotter({
  state,
  socket,
  containerd: content,
  volumes: new LoopVolumes(),
  signers: [signer],
  release: keyring.certificate('release'),
  revocations: [],
  credentials: join(state, 'no-credentials'),
  registries: () => [],
  insecure: [],
  audit: false,
  log: () => undefined,
});
process.send?.({ socket: snapshotter.socket });
await new Promise((resolve) => process.once('SIGTERM', resolve));
