/**
 * Layers opened by device-mapper's verity target. systemd-veritysetup passes root hash and signature to the kernel,
 * which takes the signature only from a certificate of its `.dm-verity` keyring.
 */

import { existsSync, readdirSync } from 'node:fs';
import { mkdir, open, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { SnapshotterError } from './error.ts';
import type { Layer } from './model.ts';
import { readDiffId } from './read-diff-id.ts';
import { runTool } from './run-tool.ts';
import type { LayerFiles, Volumes } from './volumes.ts';
import { mountedFolders } from './volumes.ts';

const veritysetup = '/usr/lib/systemd/systemd-veritysetup';
const devicePrefix = 'osguard-layer-';
/** The label of every file of a layer: containers may read and execute it, nobody writes. */
const context = 'system_u:object_r:container_ro_file_t:s0';

export class VerityVolumes implements Volumes {
  readonly #folder: string;

  /** @param folder where layers are mounted, on a file system that does not survive the boot. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  async open(layer: Layer, files: LayerFiles): Promise<string> {
    const folder = join(this.#folder, String(layer.id));
    const device = deviceOf(layer.id);
    const mounts = await mountedFolders();
    if (mounts.get(folder) === device) return folder;
    if (existsSync(device)) await this.close(layer.id);
    await attach(layer, files);
    try {
      const found = await firstBlocks(device);
      const diffId = readDiffId(found);
      if (diffId !== layer.diffId) {
        throw new SnapshotterError(
          'layer-mismatch',
          `the signed image of root hash ${layer.rootHash} is layer ${diffId}, not ${layer.diffId}`,
        );
      }
      await mkdir(folder, { recursive: true, mode: 0o755 });
      const { status, output } = await runTool('/usr/bin/mount', [
        '-t',
        'erofs',
        '-o',
        `ro,nodev,context="${context}"`,
        device,
        folder,
      ]);
      if (status !== 0) {
        throw new SnapshotterError('layer-refused', `layer ${layer.diffId} does not mount: ${output}`);
      }
    } catch (error) {
      await detach(layer.id).catch(() => undefined);
      throw error;
    }
    return folder;
  }

  async close(id: number): Promise<void> {
    const folder = join(this.#folder, String(id));
    if ((await mountedFolders()).has(folder)) {
      const { status, output } = await runTool('/usr/bin/umount', [folder]);
      if (status !== 0) throw new SnapshotterError('precondition', `layer ${id} is in use: ${output}`);
    }
    if (existsSync(deviceOf(id))) await detach(id);
    await rmdir(folder).catch(() => undefined);
  }

  async opened(): Promise<readonly number[]> {
    const ids = new Set<number>();
    for (const folder of (await mountedFolders()).keys()) {
      if (folder.startsWith(`${this.#folder}/`)) ids.add(Number(folder.slice(this.#folder.length + 1)));
    }
    for (const name of existsSync('/dev/mapper') ? readdirSync('/dev/mapper') : []) {
      if (name.startsWith(devicePrefix)) ids.add(Number(name.slice(devicePrefix.length)));
    }
    return [...ids].filter(Number.isSafeInteger);
  }
}

function deviceOf(id: number): string {
  return `/dev/mapper/${devicePrefix}${id}`;
}

async function attach(layer: Layer, { image, signature }: LayerFiles): Promise<void> {
  const options = [`hash-offset=${layer.hashOffset}`];
  if (signature !== undefined) options.push(`root-hash-signature=${signature}`);
  const name = `${devicePrefix}${layer.id}`;
  const { status, output } = await runTool(veritysetup, [
    'attach',
    name,
    image,
    image,
    layer.rootHash,
    options.join(','),
  ]);
  if (status === 0) return;
  throw new SnapshotterError(
    'layer-refused',
    `the kernel refused layer ${layer.diffId} with root hash ${layer.rootHash}: ${reason(output)}`,
  );
}

/** What the kernel's answer means; the answer itself stays in the text. */
function reason(output: string): string {
  if (/Required key not available|ENOKEY/.test(output)) {
    return `it is signed by nobody whom this host trusts for layers (${output})`;
  }
  if (/Key was rejected by service|EKEYREJECTED|Bad message|EBADMSG/.test(output)) {
    return `its signature is not one of this root hash (${output})`;
  }
  return output;
}

async function detach(id: number): Promise<void> {
  const { status, output } = await runTool(veritysetup, ['detach', `${devicePrefix}${id}`]);
  if (status !== 0) throw new SnapshotterError('precondition', `layer ${id} does not close: ${output}`);
}

/** Superblock and all: read through dm-verity, so these bytes are what was signed. */
async function firstBlocks(device: string): Promise<Uint8Array> {
  await using file = await open(device, 'r');
  const bytes = new Uint8Array(4096);
  const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
  return bytes.subarray(0, bytesRead);
}
