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
import type { ProofFiles } from '../prove/proof-files.ts';
import { writeProofFiles } from '../prove/proof-files.ts';
import { enrolledVariables } from '../prove/variables.ts';
import type { Tools } from '../tools/open.ts';
import type { DiskOptions } from '../vm/options.ts';
import { ContainerHost } from './container-host.ts';
import type { ContainerFiles } from './container-volume.ts';

export interface PrepareOptions {
  readonly release: ReleaseFolder;
  /** Private keys of the roles boot and layers; with images those of usr and release too. */
  readonly keyring: Keyring;
  /** With the sets `run` and `intruder`. */
  readonly tools: Tools;
  /** For what the boots need and write. */
  readonly folder: string;
  /** Whether the images of the proof are there on a disk. */
  readonly images: boolean;
}

export interface StartOptions {
  readonly tools: Tools;
  /** Names the console's file. */
  readonly name?: string;
  /** Whether the host has a network. */
  readonly network: boolean;
  /** The host's disk with what earlier boots wrote, qcow2; without one everything written is thrown away. */
  readonly overlay?: string;
  /** Folder in which the TPM survives the boot. */
  readonly state?: string;
  /** More of them. */
  readonly disks?: readonly DiskOptions[];
  readonly sink: EventSink;
  readonly signal?: AbortSignal;
  /** Folder for the console of the boot. */
  readonly consoles?: string;
  readonly memoryMiB?: number;
  readonly cpus?: number;
}

export type BootOptions = PrepareOptions & StartOptions;

/** What any number of boots of one release need. */
export interface PreparedHost {
  readonly release: ReleaseFolder;
  readonly files: ProofFiles;
  readonly variables: string;
}

export interface BootedHost extends AsyncDisposable {
  readonly host: ContainerHost;
  readonly intruder: Intruder;
  readonly guest: Guest;
  readonly files: ContainerFiles | undefined;
}

/** @throws MachineError, KeysError */
export async function bootContainerHost(options: BootOptions): Promise<BootedHost> {
  return startContainerHost(await prepareContainerHost(options), options);
}

/** @throws MachineError, KeysError */
export async function prepareContainerHost(options: PrepareOptions): Promise<PreparedHost> {
  const { release, keyring, tools, folder } = options;
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
  return { release, files, variables };
}

/** Returns when the intruder is in. @throws MachineError */
export async function startContainerHost(
  { release, files, variables }: PreparedHost,
  options: StartOptions,
): Promise<BootedHost> {
  const { tools, sink, signal, consoles, overlay, state, disks = [], name = 'layers' } = options;
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
    name,
    title: 'boot the release',
    disks: [
      bootDisk(files.planted, 0),
      releaseDisk(context, 1, overlay),
      intruderDisk(context),
      ...containerDisks(context),
      ...disks,
    ],
    ...(options.network && { network: { restrict: false, forward: [] } }),
    ...(state !== undefined && { state }),
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
