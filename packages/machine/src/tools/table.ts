/**
 * Which Debian packages osguard's helpers come from, and why each is needed. The suite is one whose QEMU is known to
 * emulate correctly: QEMU 7.2 of Debian 12 miscompiles under TCG (lock-ups, double faults), 10.0 is reliable.
 */

export type ToolSetName = 'run' | 'judges' | 'build' | 'intruder' | 'registry';

export interface ToolPackage {
  readonly name: string;
  readonly reason: string;
}

export interface HostRule {
  readonly program: string;
  /** Arguments that print the version. */
  readonly versionArgs: readonly string[];
  /** Oldest version known to work, compared number by number; the first such number printed is taken. */
  readonly atLeast: readonly number[];
}

export interface ToolSet {
  readonly packages: readonly ToolPackage[];
  /** The set is taken from the host when every rule and every file holds; otherwise all of it from a tree. */
  readonly host: readonly HostRule[];
  readonly hostFiles: readonly string[];
  /** Set when these programs work only as installed packages (they call the host's own apt and dpkg). */
  readonly hostOnly?: true;
  /** Set when the files are wanted as they are in the suite, not programs to be called. */
  readonly treeOnly?: true;
}

export const suite = 'trixie';

/** Firmware with System Management Mode: only SMM keeps the guest kernel from writing Secure Boot variables. */
export const firmwareCode = '/usr/share/OVMF/OVMF_CODE_4M.secboot.fd';
/** The blank variable store that belongs to it: no keys, Secure Boot off. */
export const firmwareVariables = '/usr/share/OVMF/OVMF_VARS_4M.fd';

export const toolSets: Readonly<Record<ToolSetName, ToolSet>> = {
  run: {
    packages: [
      { name: 'qemu-system-x86', reason: 'the virtual machine' },
      { name: 'qemu-utils', reason: 'qemu-img: throw-away and persistent overlays, qcow2 and vhdx' },
      { name: 'ovmf', reason: 'UEFI firmware with Secure Boot and System Management Mode' },
      { name: 'swtpm', reason: 'the virtual TPM 2.0' },
    ],
    host: [
      { program: 'qemu-system-x86_64', versionArgs: ['--version'], atLeast: [9, 0] },
      { program: 'qemu-img', versionArgs: ['--version'], atLeast: [9, 0] },
      { program: 'swtpm', versionArgs: ['--version'], atLeast: [0, 7] },
    ],
    hostFiles: [firmwareCode, firmwareVariables],
  },
  judges: {
    packages: [
      { name: 'erofs-utils', reason: 'fsck.erofs, dump.erofs, mkfs.erofs: judges of our EROFS images' },
      { name: 'cryptsetup-bin', reason: 'veritysetup: judge of hash trees and root hashes' },
      { name: 'gdisk', reason: 'sgdisk: judge of partition tables' },
      { name: 'dosfstools', reason: 'fsck.vfat: judge of the EFI system partition' },
      { name: 'mtools', reason: 'mdir, mcopy: judge of file names and bodies on it' },
      { name: 'sbsigntool', reason: 'sbverify, sbsign: judge of Authenticode signatures' },
      { name: 'openssl', reason: 'judge of certificates and CMS messages' },
      { name: 'efitools', reason: 'cert-to-efi-sig-list, sign-efi-sig-list: judge of signature lists' },
      { name: 'python3-virt-firmware', reason: 'virt-fw-vars: judge of the variable store' },
      { name: 'tpm2-tools', reason: 'judge of TPM commands, quotes and event logs' },
      { name: 'binutils', reason: 'objcopy, objdump: judge of PE sections' },
      { name: 'checkpolicy', reason: 'judge of SELinux policy' },
      { name: 'xz-utils', reason: 'judge of compressed streams' },
      { name: 'zstd', reason: 'judge of compressed streams' },
      { name: 'cpio', reason: 'judge of the initrd archive' },
      { name: 'fdisk', reason: 'sfdisk: a second judge of partition tables' },
      { name: 'libarchive-tools', reason: 'bsdtar: a second judge of tar streams' },
      { name: 'systemd-repart', reason: 'images of other tools, to be verified by us' },
      { name: 'systemd-ukify', reason: 'boot images of other tools' },
      { name: 'systemd-boot-efi', reason: 'the stub those are made of' },
    ],
    host: [
      { program: 'fsck.erofs', versionArgs: ['--version'], atLeast: [1, 8] },
      { program: 'mkfs.erofs', versionArgs: ['--version'], atLeast: [1, 8] },
      { program: 'dump.erofs', versionArgs: ['--version'], atLeast: [1, 8] },
      { program: 'veritysetup', versionArgs: ['--version'], atLeast: [2, 6] },
      { program: 'sgdisk', versionArgs: ['--version'], atLeast: [1, 0] },
      { program: 'fsck.vfat', versionArgs: ['--help'], atLeast: [] },
      { program: 'mcopy', versionArgs: ['--version'], atLeast: [4, 0] },
      { program: 'sbverify', versionArgs: ['--version'], atLeast: [0, 9] },
      { program: 'openssl', versionArgs: ['version'], atLeast: [3, 0] },
      { program: 'cert-to-efi-sig-list', versionArgs: ['--version'], atLeast: [1, 9] },
      { program: 'virt-fw-vars', versionArgs: ['--version'], atLeast: [] },
      { program: 'tpm2_quote', versionArgs: ['--version'], atLeast: [5, 4] },
      { program: 'objcopy', versionArgs: ['--version'], atLeast: [2, 40] },
      { program: 'checkpolicy', versionArgs: ['-V'], atLeast: [] },
      { program: 'xz', versionArgs: ['--version'], atLeast: [5, 4] },
      { program: 'zstd', versionArgs: ['--version'], atLeast: [1, 5] },
      { program: 'cpio', versionArgs: ['--version'], atLeast: [2, 13] },
      { program: 'sfdisk', versionArgs: ['--version'], atLeast: [2, 38] },
      { program: 'bsdtar', versionArgs: ['--version'], atLeast: [3, 6] },
      // Older ones cannot fill a partition without mounting it.
      { program: 'systemd-repart', versionArgs: ['--version'], atLeast: [255] },
      { program: 'ukify', versionArgs: ['--version'], atLeast: [255] },
    ],
    hostFiles: ['/usr/lib/systemd/boot/efi/linuxx64.efi.stub'],
  },
  intruder: {
    packages: [
      { name: 'python3.13-minimal', reason: 'the attacks of the proof are written in Python' },
      { name: 'libpython3.13-stdlib', reason: 'ctypes, json and lzma for them' },
      { name: 'coreutils', reason: 'small signed programs whose unsigned copies must not run' },
    ],
    host: [],
    hostFiles: [],
    treeOnly: true,
  },
  registry: {
    packages: [{ name: 'docker-registry', reason: 'the registry of the demonstration of signed layers' }],
    host: [{ program: 'docker-registry', versionArgs: ['--version'], atLeast: [2, 8] }],
    hostFiles: [],
  },
  build: {
    packages: [{ name: 'mmdebstrap', reason: 'installs the packages of an image' }],
    host: [{ program: 'mmdebstrap', versionArgs: ['--version'], atLeast: [1, 3] }],
    hostFiles: [],
    hostOnly: true,
  },
};
