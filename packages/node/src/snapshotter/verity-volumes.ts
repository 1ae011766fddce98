/**
 * Layers opened by device-mapper's verity target. systemd-veritysetup passes root hash and signature to the kernel,
 * which takes the signature only from a certificate of its `.dm-verity` keyring.
 *
 * A device carries its layer's number and root hash in its name. A volume that another process opened is used again only
 * when the kernel's own table of it names this root hash: the number alone comes from a database on /var.
 */

import { existsSync } from 'node:fs';
import { mkdir, open, readdir, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SnapshotterError } from './error.ts';
import type { Layer } from './model.ts';
import { readDiffId } from './read-diff-id.ts';
import type { ToolResult } from './run-tool.ts';
import { runTool } from './run-tool.ts';
import { isTableOf } from './verity-table.ts';
import type { LayerFiles, Mount, Volumes } from './volumes.ts';
import { mountedFolders } from './volumes.ts';

const veritysetup = '/usr/lib/systemd/systemd-veritysetup';
const dmsetup = '/usr/sbin/dmsetup';
const mapper = '/dev/mapper';
const deviceName = /^osguard-layer-(\d+)-([0-9a-f]{64})$/;
/** The label of every file of a layer: containers may read and execute it, nobody writes. */
const context = 'system_u:object_r:container_ro_file_t:s0';

/** What of the host this looks at and runs; the tests have another. */
export interface VolumeHost {
  readonly run: (program: string, args: readonly string[]) => Promise<ToolResult>;
  readonly mounts: () => Promise<ReadonlyMap<string, Mount>>;
  /** Names below /dev/mapper. */
  readonly devices: () => Promise<readonly string[]>;
  /** `MAJOR:MINOR` of the block device, or of the file system in which a folder lies. */
  readonly numberOf: (path: string) => Promise<string>;
  /** The first 4096 bytes. */
  readonly start: (device: string) => Promise<Uint8Array>;
}

export class VerityVolumes implements Volumes {
  readonly #folder: string;
  readonly #host: VolumeHost;
  /** Mounts this process made or compared with the kernel's table, by root hash. */
  readonly #known = new Map<string, Known>();
  #reading: Promise<ReadonlyMap<string, Mount>> | undefined;

  /** @param folder where layers are mounted, on a file system that does not survive the boot. */
  constructor(folder: string, host: VolumeHost = thisHost) {
    this.#folder = folder;
    this.#host = host;
  }

  async open(layer: Layer, files: LayerFiles): Promise<string> {
    const folder = join(this.#folder, String(layer.id));
    const mounted = (await this.#mounts()).get(folder);
    if (mounted !== undefined && (await this.#isLayer(layer, { folder, mounted }))) return folder;
    // Something else, or a volume half open: nothing of it is used.
    await this.#unmount(folder);
    try {
      if (!(await this.#isOpen(layer))) {
        for (const { name } of await this.#devicesOf(layer.id)) await this.#detach(name);
        await this.#attach(layer, files);
        // veritysetup is content when a volume of this name is there already, whatever it is.
        if (!(await this.#isOpen(layer))) {
          throw new SnapshotterError('layer-refused', `${deviceOf(layer)} is not what was asked for`);
        }
      }
      await this.#mustBe(layer);
      await mkdir(folder, { recursive: true, mode: 0o755 });
      await this.#mount(layer, folder);
      await this.#remember(layer, folder);
    } catch (error) {
      await this.close(layer.id).catch(() => undefined);
      throw error;
    }
    return folder;
  }

  async close(id: number): Promise<void> {
    const folder = join(this.#folder, String(id));
    await this.#unmount(folder);
    for (const { name, rootHash } of await this.#devicesOf(id)) {
      this.#known.delete(rootHash);
      await this.#detach(name);
    }
    await rmdir(folder).catch(() => undefined);
  }

  async opened(): Promise<readonly number[]> {
    const ids = new Set<number>();
    for (const folder of (await this.#host.mounts()).keys()) {
      if (folder.startsWith(`${this.#folder}/`)) ids.add(Number(folder.slice(this.#folder.length + 1)));
    }
    for (const { id } of await this.#layerDevices()) ids.add(id);
    return [...ids].filter(Number.isSafeInteger);
  }

  /** One letter of each volume's status says it: V valid, C corrupted (Linux, admin-guide/device-mapper/verity). */
  async damaged(): Promise<ReadonlySet<string>> {
    const { status, output } = await this.#host.run(dmsetup, ['status', '--target', 'verity']);
    if (status !== 0) throw new SnapshotterError('precondition', `volumes have no status: ${output}`);
    const found = new Set<string>();
    for (const line of output.split('\n')) {
      const [, name = ''] = /^(\S+): \d+ \d+ verity C/.exec(line) ?? [];
      const rootHash = deviceName.exec(name)?.[2];
      if (rootHash !== undefined) found.add(rootHash);
    }
    return found;
  }

  /** Layers opened in the same turn of the event loop share one reading: nothing is mounted in between. */
  #mounts(): Promise<ReadonlyMap<string, Mount>> {
    if (this.#reading === undefined) {
      this.#reading = this.#host.mounts();
      process.nextTick(() => (this.#reading = undefined));
    }
    return this.#reading;
  }

  /** Whether the mount is the whole of the layer's own volume, by what the kernel says. */
  async #isLayer(
    layer: Layer,
    { folder, mounted }: { readonly folder: string; readonly mounted: Mount },
  ): Promise<boolean> {
    // Through the path, which another mount above it would lead elsewhere.
    if ((await this.#host.numberOf(folder)) !== mounted.device) return false;
    const known = this.#known.get(layer.rootHash);
    if (known?.mount === mounted.id && known.device === mounted.device) {
      if (known.diffId !== layer.diffId) throw mismatch(layer, known.diffId);
      return true;
    }
    if (mounted.root !== '/' || mounted.type !== 'erofs') return false;
    if (!(await this.#isOpen(layer))) return false;
    if ((await this.#host.numberOf(deviceOf(layer))) !== mounted.device) return false;
    await this.#mustBe(layer);
    await this.#remember(layer, folder);
    return true;
  }

  /** Whether the layer's device is there, and is it by the kernel's own table: its name can be anybody's. */
  async #isOpen(layer: Layer): Promise<boolean> {
    const devices = await this.#devicesOf(layer.id);
    if (!devices.some(({ name }) => name === nameOf(layer))) return false;
    const [major = '', minor = ''] = (await this.#host.numberOf(deviceOf(layer))).split(':');
    const { status, output } = await this.#host.run(dmsetup, ['table', '--major', major, '--minor', minor]);
    return status === 0 && isTableOf(output, layer);
  }

  /** The layer names itself, through dm-verity: these bytes are what was signed. */
  async #mustBe(layer: Layer): Promise<void> {
    const diffId = readDiffId(await this.#host.start(deviceOf(layer)));
    if (diffId !== layer.diffId) throw mismatch(layer, diffId);
  }

  async #remember(layer: Layer, folder: string): Promise<void> {
    const mount = (await this.#host.mounts()).get(folder);
    if (mount === undefined) throw new SnapshotterError('precondition', `${folder} is no longer mounted`);
    const { rootHash, diffId } = layer;
    this.#known.set(rootHash, { mount: mount.id, device: mount.device, diffId });
  }

  async #layerDevices(): Promise<readonly LayerDevice[]> {
    const found: LayerDevice[] = [];
    for (const name of await this.#host.devices()) {
      const [, id, rootHash] = deviceName.exec(name) ?? [];
      if (id !== undefined && rootHash !== undefined) found.push({ name, id: Number(id), rootHash });
    }
    return found;
  }

  async #devicesOf(id: number): Promise<readonly LayerDevice[]> {
    return (await this.#layerDevices()).filter((device) => device.id === id);
  }

  async #attach(layer: Layer, { image, signature }: LayerFiles): Promise<void> {
    const options = [`hash-offset=${layer.hashOffset}`];
    if (signature !== undefined) options.push(`root-hash-signature=${signature}`);
    const args = ['attach', nameOf(layer), image, image, layer.rootHash, options.join(',')];
    const { status, output } = await this.#host.run(veritysetup, args);
    if (status === 0) return;
    throw new SnapshotterError(
      'layer-refused',
      `the kernel refused layer ${layer.diffId} with root hash ${layer.rootHash}: ${reason(output)}`,
    );
  }

  async #mount(layer: Layer, folder: string): Promise<void> {
    const options = `ro,nodev,context="${context}"`;
    const args = ['-t', 'erofs', '-o', options, deviceOf(layer), folder];
    const { status, output } = await this.#host.run('/usr/bin/mount', args);
    if (status === 0) return;
    throw new SnapshotterError('layer-refused', `layer ${layer.diffId} does not mount: ${output}`);
  }

  async #unmount(folder: string): Promise<void> {
    if (!(await this.#host.mounts()).has(folder)) return;
    const { status, output } = await this.#host.run('/usr/bin/umount', [folder]);
    if (status !== 0) throw new SnapshotterError('precondition', `${folder} is in use: ${output}`);
  }

  async #detach(name: string): Promise<void> {
    const { status, output } = await this.#host.run(veritysetup, ['detach', name]);
    if (status !== 0) throw new SnapshotterError('precondition', `volume ${name} does not close: ${output}`);
  }
}

interface Known {
  readonly mount: string;
  readonly device: string;
  readonly diffId: string;
}

interface LayerDevice {
  readonly name: string;
  readonly id: number;
  readonly rootHash: string;
}

function nameOf({ id, rootHash }: Layer): string {
  return `osguard-layer-${id}-${rootHash}`;
}

function deviceOf(layer: Layer): string {
  return `${mapper}/${nameOf(layer)}`;
}

function mismatch({ rootHash, diffId }: Layer, found: string): SnapshotterError {
  return new SnapshotterError(
    'layer-mismatch',
    `the signed image of root hash ${rootHash} is layer ${found}, not ${diffId}`,
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

const thisHost: VolumeHost = {
  run: runTool,
  mounts: mountedFolders,
  devices: async () => (existsSync(mapper) ? readdir(mapper) : []),
  async numberOf(path) {
    const found = await stat(path, { bigint: true });
    const number = found.isBlockDevice() ? found.rdev : found.dev;
    return `${(number >> 8n) & 0xfffn}:${(number & 0xffn) | ((number >> 12n) & 0xfff00n)}`;
  },
  async start(device) {
    await using file = await open(device, 'r');
    const bytes = new Uint8Array(4096);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
    return bytes.subarray(0, bytesRead);
  },
};
