/** What a virtual machine is made of. */

import type { Tools } from '../tools/open.ts';

export type Accelerator = 'kvm' | 'tcg';

export interface DiskOptions {
  readonly path: string;
  readonly format: 'raw' | 'qcow2';
  /**
   * What happens to the guest's writes: `snapshot` throws them away, `persistent` puts them into the file, `readonly`
   * refuses them, and `{ overlay }` keeps them in that qcow2 file (made when missing) and leaves `path` as it is.
   */
  readonly writes: 'snapshot' | 'persistent' | 'readonly' | { readonly overlay: string };
  /** Order in which the firmware tries the disks, from 0. By default their order in the list. */
  readonly bootIndex?: number;
  /** Serial number the guest sees, at most 20 characters. */
  readonly serial?: string;
}

export interface UserNetwork {
  /** True cuts the guest off from everything but the forwarded ports. */
  readonly restrict: boolean;
  /** TCP ports of this machine's loopback address that lead into the guest. */
  readonly forward: readonly { readonly host: number; readonly guest: number }[];
}

/** A kernel handed to the firmware by the hypervisor, for experiments. Under Secure Boot it must be signed. */
export interface DirectKernel {
  readonly image: string;
  readonly initrd?: string;
  readonly commandLine: string;
}

export interface MachineOptions {
  readonly tools: Tools;
  readonly disks?: readonly DiskOptions[];
  /** Firmware variable store to start from (a copy is used); a blank one when absent. */
  readonly variables?: string;
  /** Folder in which variables and TPM survive the machine; without it both are thrown away. */
  readonly state?: string;
  /** Default 2048. */
  readonly memoryMiB?: number;
  /** Default 2. */
  readonly cpus?: number;
  /** Default `auto`: KVM when it boots the firmware here, else TCG. */
  readonly accelerator?: Accelerator | 'auto';
  /** SMBIOS type 11 (OEM) strings. */
  readonly smbios?: readonly string[];
  /** Further fw_cfg files, name (`opt/…`) → contents. */
  readonly firmwareConfig?: Readonly<Record<string, string | Uint8Array>>;
  /** Default `none`. */
  readonly network?: 'none' | UserNetwork;
  /** Number of serial lines, 1 to 4; the first is the console. */
  readonly serialLines?: number;
  /** What a reset asked for by the guest does. Default `reboot`. */
  readonly onReset?: 'reboot' | 'exit';
  readonly kernel?: DirectKernel;
  /** False leaves the TPM out. */
  readonly tpm?: boolean;
  /** File to which the console is written as it comes. */
  readonly consoleLog?: string;
  /** Aborting kills the machine. */
  readonly signal?: AbortSignal;
  /** Cache folder of osguard, for what was found out about KVM. */
  readonly cache?: string;
}
