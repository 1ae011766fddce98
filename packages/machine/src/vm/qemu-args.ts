/**
 * QEMU's command line. The machine is a q35 with SMM, whose pflash only SMM code may write (`secure=on`), so that the
 * guest kernel cannot change Secure Boot variables behind the firmware's back. Nothing is there that was not asked for.
 */

import type { Accelerator, MachineOptions, UserNetwork } from './options.ts';

/** A disk as QEMU opens it. */
export interface DiskPlan {
  readonly path: string;
  readonly format: 'raw' | 'qcow2';
  readonly readOnly: boolean;
  /** The writes are thrown away: no need to wait for them to reach the disk. */
  readonly scratch: boolean;
  readonly bootIndex: number;
  readonly serial: string | undefined;
}

export interface QemuPlan {
  readonly accelerator: Accelerator;
  readonly memoryMiB: number;
  readonly cpus: number;
  readonly firmwareCode: string;
  readonly variables: string;
  readonly disks: readonly DiskPlan[];
  readonly tpmSocket: string | undefined;
  readonly smbios: readonly string[];
  /** fw_cfg name → file that holds the contents. */
  readonly firmwareConfig: ReadonlyMap<string, string>;
  readonly network: UserNetwork | undefined;
  /** Inherited sockets: the control connection, then one for each serial line. */
  readonly controlFd: number;
  readonly serialFds: readonly number[];
  readonly onReset: 'reboot' | 'exit';
  readonly kernel: MachineOptions['kernel'];
}

/** In QEMU's option lists a comma inside a value is written twice. */
const value = (text: string): string => text.replaceAll(',', ',,');

export function qemuArguments(plan: QemuPlan): string[] {
  const args = ['-nodefaults', '-no-user-config', '-display', 'none'];
  args.push('-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny');
  args.push('-machine', 'q35,smm=on,hpet=off,vmport=off');
  if (plan.accelerator === 'kvm') args.push('-accel', 'kvm', '-cpu', 'host');
  else args.push('-accel', 'tcg,thread=multi,tb-size=512', '-cpu', 'max,svm=off');
  args.push('-smp', String(plan.cpus), '-m', `${plan.memoryMiB}M`, '-rtc', 'base=utc', '-boot', 'strict=on');
  if (plan.onReset === 'exit') args.push('-action', 'reboot=shutdown');
  args.push('-global', 'driver=cfi.pflash01,property=secure,value=on', '-global', 'ICH9-LPC.disable_s3=1');
  args.push('-drive', `if=pflash,format=raw,unit=0,readonly=on,file=${value(plan.firmwareCode)}`);
  args.push('-drive', `if=pflash,format=raw,unit=1,file=${value(plan.variables)}`);
  args.push('-chardev', `socket,id=control,fd=${plan.controlFd}`, '-mon', 'chardev=control,mode=control');
  for (const [index, fd] of plan.serialFds.entries())
    args.push('-chardev', `socket,id=serial${index},fd=${fd}`, '-serial', `chardev:serial${index}`);
  args.push('-device', 'virtio-rng-pci');
  for (const [index, disk] of plan.disks.entries()) args.push(...diskArguments(disk, index));
  if (plan.tpmSocket !== undefined) {
    args.push('-chardev', `socket,id=tpm,path=${value(plan.tpmSocket)}`);
    args.push('-tpmdev', 'emulator,id=tpm0,chardev=tpm', '-device', 'tpm-crb,tpmdev=tpm0');
  }
  for (const text of plan.smbios) args.push('-smbios', `type=11,value=${value(text)}`);
  for (const [name, file] of plan.firmwareConfig)
    args.push('-fw_cfg', `name=${value(name)},file=${value(file)}`);
  if (plan.network !== undefined) {
    const forwards = plan.network.forward.map(
      ({ host, guest }) => `,hostfwd=tcp:127.0.0.1:${host}-:${guest}`,
    );
    args.push('-netdev', `user,id=net0,restrict=${plan.network.restrict ? 'on' : 'off'}${forwards.join('')}`);
    // No option ROM: the firmware must not try to boot from the network.
    args.push('-device', 'virtio-net-pci,netdev=net0,romfile=');
  }
  if (plan.kernel !== undefined) {
    args.push('-kernel', plan.kernel.image, '-append', plan.kernel.commandLine);
    if (plan.kernel.initrd !== undefined) args.push('-initrd', plan.kernel.initrd);
  }
  return args;
}

function diskArguments(disk: DiskPlan, index: number): string[] {
  const node = {
    driver: disk.format,
    'node-name': `disk${index}`,
    'read-only': disk.readOnly,
    discard: 'unmap',
    cache: { 'no-flush': disk.scratch },
    file: { driver: 'file', filename: disk.path, cache: { 'no-flush': disk.scratch } },
  };
  const serial = disk.serial === undefined ? '' : `,serial=${value(disk.serial)}`;
  const device = `virtio-blk-pci,drive=disk${index},id=disk-device${index},bootindex=${disk.bootIndex}${serial}`;
  return ['-blockdev', JSON.stringify(node), '-device', device];
}
