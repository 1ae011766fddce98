/** The release in a virtual machine, with somebody inside who can do what an administrator of the host does. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EventSink } from '@osguard/events';
import type { ReleaseFolder } from '@osguard/image';
import type { Keyring } from '@osguard/keys';
import { bootDisk, containerDisks, defaultLimits, intruderDisk, releaseDisk } from '../prove/context.ts';
import { Guest } from '../prove/guest.ts';
import { Intruder } from '../prove/intruder.ts';
import { intruderTree } from '../prove/intruder-volume.ts';
import { writeProofFiles } from '../prove/proof-files.ts';
import { enrolledVariables } from '../prove/variables.ts';
import type { Tools } from '../tools/open.ts';
import { ContainerHost } from './container-host.ts';
import type { ContainerFiles } from './container-volume.ts';

export interface BootOptions {
  readonly release: ReleaseFolder;
  /** Private keys of the roles boot and layers; with images those of usr and release too. */
  readonly keyring: Keyring;
  /** With the sets `run` and `intruder`. */
  readonly tools: Tools;
  /** For what the boot needs and writes. */
  readonly folder: string;
  /** Whether the images of the proof are there on a disk. */
  readonly images: boolean;
  /** Whether the host has a network. */
  readonly network: boolean;
  readonly sink: EventSink;
  readonly signal?: AbortSignal;
  /** Folder for the console of the boot. */
  readonly consoles?: string;
  readonly memoryMiB?: number;
  readonly cpus?: number;
}

export interface BootedHost extends AsyncDisposable {
  readonly host: ContainerHost;
  readonly intruder: Intruder;
  readonly guest: Guest;
  readonly files: ContainerFiles | undefined;
}

/** @throws MachineError, KeysError */
export async function bootContainerHost(options: BootOptions): Promise<BootedHost> {
  const { release, keyring, tools, folder, sink, signal, consoles } = options;
  const files = await writeProofFiles({
    uki: release.file('uki.efi'),
    rootHash: release.rootHash,
    keyring,
    intruderTree: intruderTree(tools),
    folder,
    full: false,
    containers: options.images,
  });
  const variables = join(folder, 'variables.fd');
  writeFileSync(variables, enrolledVariables(keyring, { tools, release }));
  const context = {
    tools,
    files,
    variables,
    disk: release.file('disk.raw'),
    memoryMiB: options.memoryMiB ?? 2048,
    cpus: options.cpus ?? 2,
    limits: defaultLimits,
    sink,
    ...(consoles !== undefined && { consoleFolder: consoles }),
    ...(signal !== undefined && { signal }),
  };
  const guest = await Guest.start(context, {
    name: 'layers',
    title: 'boot the release',
    disks: [
      bootDisk(files.planted, 0),
      releaseDisk(context, 1),
      intruderDisk(context),
      ...containerDisks(context),
    ],
    ...(options.network && { network: { restrict: false, forward: [] } }),
  });
  try {
    const intruder = new Intruder(guest);
    await intruder.ready();
    return {
      host: new ContainerHost(intruder),
      intruder,
      guest,
      files: files.containers,
      [Symbol.asyncDispose]: () => guest.stop(),
    };
  } catch (error) {
    await guest.stop();
    throw error;
  }
}
