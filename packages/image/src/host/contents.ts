/** What of Debian's packages the host keeps running, and what it leaves out. Every line has its reason beside it. */

/** Units of packages that must not start. Naming one under `units.enable` of the definition takes it from this list. */
export const maskedUnits: readonly string[] = [
  // no person logs in
  'getty.target',
  'getty-static.service',
  'systemd-user-sessions.service',
  // logind, which is there for the power button, wants the drivers of screens
  'modprobe@drm.service',
  'systemd-ask-password-console.path',
  'systemd-ask-password-wall.path',
  'systemd-bsod.service',
  'systemd-battery-check.service',
  // the image is complete: nothing is set up, rebuilt or migrated on first boot
  'systemd-firstboot.service',
  'systemd-sysusers.service',
  'systemd-update-done.service',
  'systemd-hwdb-update.service',
  'systemd-journal-catalog-update.service',
  'systemd-machine-id-commit.service',
  'ldconfig.service',
  'selinux-autorelabel-mark.service',
  'systemd-repart.service',
  'systemd-remount-fs.service',
  'systemd-networkd-persistent-storage.service',
  // doors nobody uses
  'systemd-creds.socket',
  'systemd-hostnamed.socket',
  'systemd-initctl.socket',
  'systemd-pcrextend.socket',
  'systemd-pcrlock.socket',
  'systemd-sysext.socket',
  'systemd-udev-load-credentials.service',
  'proc-sys-fs-binfmt_misc.automount',
  'systemd-binfmt.service',
  'sys-kernel-config.mount',
  'sys-kernel-debug.mount',
  'sys-kernel-tracing.mount',
  'sys-fs-fuse-connections.mount',
  'dev-hugepages.mount',
  'run-lock.mount',
  'systemd-hibernate-clear.service',
  // /usr is opened in the initrd, nothing else has a table here
  'cryptsetup.target',
  'integritysetup.target',
  'veritysetup.target',
  'cryptdisks.service',
  'cryptdisks-early.service',
  // PCR 15 with a machine ID that changes every boot says nothing; the storage root key belongs to the agent
  'systemd-pcrmachine.service',
  'systemd-tpm2-setup-early.service',
  'systemd-tpm2-setup.service',
  // the kernel's generator is seeded by firmware, processor and virtio; a file on untrusted /var adds nothing
  'systemd-random-seed.service',
  // the same as systemd-tmpfiles-setup-dev-early.service once accounts are fixed
  'systemd-tmpfiles-setup-dev.service',
  'systemd-networkd-wait-online.service',
  // Debian's own housekeeping
  'dpkg-db-backup.timer',
  'e2scrub_all.timer',
  'e2scrub_reap.service',
  'hwclock.service',
  'kmod.service',
  'procps.service',
  'rc-local.service',
  'udev.service',
  'x11-common.service',
];

/** Links below usr/lib/systemd/system, `link -> target`; without target the unit one folder up. */
export const unitLinks: readonly string[] = [
  'default.target -> multi-user.target',
  'dbus.service -> dbus-broker.service',
  'local-fs.target.requires/var.mount',
  'sockets.target.wants/systemd-networkd.socket',
  'multi-user.target.wants/systemd-networkd.service',
  'multi-user.target.wants/systemd-resolved.service',
  'sysinit.target.wants/systemd-timesyncd.service',
  'multi-user.target.wants/containerd.service',
];

/** Rules for disks, device-mapper, drivers, TPM, network names and the power button; none for sound, cameras or tapes. */
export const udevRules: ReadonlySet<string> = new Set([
  '50-firmware.rules',
  '50-udev-default.rules',
  '55-dm.rules',
  '60-block.rules',
  '60-input-id.rules',
  '60-persistent-storage.rules',
  '60-persistent-storage-dm.rules',
  '60-tpm-udev.rules',
  '70-power-switch.rules',
  '75-net-description.rules',
  '80-drivers.rules',
  '80-net-setup-link.rules',
  '95-dm-notify.rules',
  '99-systemd.rules',
]);

/** Packages that only the build needs, beside what every hardened image loses. */
export const buildOnlyPackages: ReadonlySet<string> = new Set([
  'bsdutils',
  'coreutils',
  'diffutils',
  'e2fsprogs',
  'findutils',
  'grep',
  'gzip',
  'hostname',
  'keyutils',
  'libc-bin',
  'libcap2-bin',
  'libpam-modules-bin',
  'libpam-runtime',
  'libpam-modules',
  'libsemanage-common',
  'libsemanage2',
  'libsepol2',
  'login',
  'login.defs',
  'logsave',
  'ncurses-base',
  'ncurses-bin',
  'openssl',
  'openssl-provider-legacy',
  'passwd',
  'policycoreutils',
  'runc',
  'sed',
  'selinux-policy-default',
  'selinux-utils',
  'sysvinit-utils',
  'systemd-boot-efi',
  'systemd-repart',
  'tar',
  'util-linux',
]);

/** Programs of those packages that the host does run. */
export const keptPrograms: ReadonlySet<string> = new Set([
  // systemd-fsck starts fsck, fsck starts fsck.ext4
  'usr/sbin/fsck',
  'usr/sbin/e2fsck',
  'usr/sbin/fsck.ext4',
  // the shell of accounts that must not log in
  'usr/sbin/nologin',
]);

/** Without leading slash; a folder goes with all below it. */
export const droppedPaths: readonly RegExp[] = [
  // Generators turn kernel arguments, credentials, SMBIOS strings and disk contents into units.
  /^usr\/lib\/systemd\/(?:system|user|user-environment)-generators$/,
  /^usr\/lib\/systemd\/(?:boot|user|catalog|repart|ntp-units\.d|profile\.d|ssh_config\.d)$/,
  /^usr\/lib\/(?:environment\.d|pcrlock\.d|mime|pam\.d|udev\/hwdb\.(?:bin|d))$/,
  /^usr\/lib\/udev\/(?:ata_id|cdrom_id|dmi_memory_id|fido_id|iocost|mtd_probe|v4l_id)$/,
  /^usr\/lib\/x86_64-linux-gnu\/(?:audit|gconv|perl-base|security|perl)$/,
  /^usr\/lib\/tmpfiles\.d\/(?:20-systemd-shell-extra|20-systemd-ssh-generator|20-systemd-stub|credstore|debian|home|legacy|libselinux1|provision|systemd-nologin|x11)\.conf$/,
  /^usr\/share\/(?:base-passwd|bug|debianutils|dict|fish|gcc|gdb|libc-bin|misc|nano|pam|pam-configs|polkit-1|readline|selinux|tabset|terminfo|util-linux)$/,
  /^usr\/(?:games|include|lib32|libx32|local|src)$/,
  // The kernel travels in the UKI; text forms of the module index are for depmod.
  /^usr\/lib\/modules\/[^/]+\/(?:vmlinuz|System\.map|config|modules\.(?:alias|dep|symbols))$/,
  /^etc\/(?:alternatives\/README|cron.*|default|fstab|issue.*|logrotate\.d|motd|opt|rpc|security|skel|ssh|subgid.*|subuid.*|terminfo|update-motd\.d|vconsole\.conf|X11|xdg)$/,
  /^etc\/(?:group|gshadow|passwd|shadow)-$/,
  /^etc\/pam\.(?:conf|d)$/,
  /^etc\/ssl\/private$/,
];
