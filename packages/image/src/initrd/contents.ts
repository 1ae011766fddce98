/** What goes into the initrd, as lists. Every line is here because the boot stops or loses something without it. */

/** Units of systemd's own that are taken unchanged. */
export const STOCK_UNITS: readonly string[] = [
  // the road: sysinit → basic → initrd.target → switch root
  'sysinit.target',
  'basic.target',
  'sockets.target',
  'slices.target',
  'paths.target',
  'timers.target',
  'local-fs-pre.target',
  'local-fs.target',
  'initrd.target',
  'initrd-root-device.target',
  'initrd-root-fs.target',
  'initrd-usr-fs.target',
  'initrd-fs.target',
  'initrd-cleanup.service',
  'initrd-switch-root.target',
  'initrd-switch-root.service',
  'initrd-udevadm-cleanup-db.service',
  'veritysetup-pre.target',
  'veritysetup.target',
  'tpm2.target',
  // the way out when something is wrong
  'shutdown.target',
  'umount.target',
  'final.target',
  'poweroff.target',
  'systemd-poweroff.service',
  'reboot.target',
  'systemd-reboot.service',
  // what runs
  'systemd-udevd.service',
  'systemd-udevd-control.socket',
  'systemd-udevd-kernel.socket',
  'systemd-udev-trigger.service',
  'systemd-pcrphase-initrd.service',
];

/** Links `<target>.wants/<unit>` and `.requires/`: this replaces presets and [Install] in the initrd. */
export const UNIT_LINKS: readonly string[] = [
  'default.target -> initrd.target',
  'ctrl-alt-del.target -> reboot.target',
  'dbus.service -> /dev/null',
  'sysinit.target.wants/systemd-udevd.service',
  'sysinit.target.wants/systemd-udev-trigger.service',
  'sysinit.target.requires/osguard-modules.service',
  'sockets.target.wants/systemd-udevd-control.socket',
  'sockets.target.wants/systemd-udevd-kernel.socket',
  'initrd.target.wants/systemd-pcrphase-initrd.service',
  'initrd-root-fs.target.requires/sysroot.mount',
  'initrd-root-fs.target.requires/sysroot-usr.mount',
  'initrd-root-fs.target.requires/sysroot-etc.mount',
  'initrd-root-fs.target.requires/osguard-var.service',
  'initrd-root-fs.target.requires/osguard-relabel.service',
];

export const PROGRAMS: readonly string[] = [
  'usr/lib/systemd/systemd',
  'usr/lib/systemd/systemd-executor',
  'usr/lib/systemd/systemd-shutdown',
  'usr/lib/systemd/systemd-udevd',
  'usr/lib/systemd/systemd-modules-load',
  'usr/lib/systemd/systemd-veritysetup',
  'usr/lib/systemd/systemd-pcrextend',
  'usr/lib/systemd/system-generators/systemd-veritysetup-generator',
  'usr/bin/udevadm',
  'usr/bin/systemctl',
  'usr/bin/systemd-repart',
  'usr/bin/systemd-tmpfiles',
  'usr/bin/keyctl',
  'usr/bin/mount',
  'usr/bin/umount',
  'usr/sbin/dmsetup',
  // the kernel asks for file systems through it (efivarfs, which tells whether the stub measured)
  'usr/sbin/modprobe',
  'usr/sbin/mke2fs',
];

/** Reached by another name than their own. */
export const PROGRAM_LINKS: readonly string[] = ['usr/sbin/mkfs.ext4 -> mke2fs'];

/** Loaded with dlopen(3) by systemd: kmod by udev, cryptsetup by veritysetup and repart, tss2 by pcrextend. */
export const OPENED_LIBRARIES: readonly string[] = [
  'libkmod.so.2',
  'libcryptsetup.so.12',
  'libtss2-esys.so.0',
  'libtss2-mu.so.0',
  'libtss2-rc.so.0',
  'libtss2-tcti-device.so.0',
];

/** Rules for block devices, device-mapper and drivers; nothing for keyboards, sound, cameras or network names. */
export const UDEV_RULES: readonly string[] = [
  '50-udev-default.rules',
  '55-dm.rules',
  '60-block.rules',
  '60-persistent-storage.rules',
  '60-persistent-storage-dm.rules',
  '80-drivers.rules',
  '95-dm-notify.rules',
  '99-systemd.rules',
];

export const REQUIRED_MODULES: readonly string[] = [
  'dm_mod',
  'dm_verity',
  'erofs',
  'loop',
  'ext4',
  'vfat',
  'nls_ascii',
  'nls_cp437',
  'efivarfs',
];

/** Where the disk may sit: KVM, Hyper-V and Azure, AWS, VMware, Xen, bare metal. The cloud kernel builds some in. */
export const DRIVER_MODULES: readonly string[] = [
  'virtio_pci',
  'virtio_blk',
  'virtio_scsi',
  'nvme',
  'ahci',
  'ata_piix',
  'sd_mod',
  'sr_mod',
  'hv_vmbus',
  'hv_storvsc',
  'pci_hyperv',
  'vmw_pvscsi',
  'xen_blkfront',
  'mptspi',
  'megaraid_sas',
  'mpt3sas',
  'tpm_tis',
  'tpm_crb',
];

/** Mount points and folders PID 1 expects. */
export const DIRECTORIES: readonly string[] = [
  'dev',
  'proc',
  'sys',
  'run',
  'tmp',
  'var',
  'sysroot',
  'etc/systemd',
];
