/**
 * The same host built by mkosi, as far as it goes: the same packages in the same versions, /usr in EROFS under signed
 * dm-verity, a UKI signed for Secure Boot. It has no IPE policy, no bill of materials
 * and no manifest, and it is not asked for them. What it writes lies on a file system in memory, as ours does.
 */

import { cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cacheFolder } from '@osguard/machine';
import { NotHere } from '../not-here.ts';
import type { Bench, Command } from '../measure.ts';
import { announceUnit, lockedPackages, openLab } from './_lab.ts';
import { ensureMkosi, peerSources } from './_mkosi-tree.ts';

export interface Peer {
  /** For example `mkosi 25.3`. */
  readonly name: string;
  /** Changes what the definition says. */
  configure(variant: { readonly packages?: readonly string[]; readonly text?: string }): void;
  /** Forgets what `Incremental=yes` has kept; packages stay. */
  forget(): void;
  build(options?: { readonly incremental?: boolean }): Command;
  /**
   * The same packages with nothing that protects: a writable ext4 root, no dm-verity, IPE, SELinux or Secure Boot. The
   * disk lies at `path` after the build.
   */
  plain(): { readonly build: Command; readonly path: string };
}

export type MaybePeer = Peer | { readonly missing: string };

let peer: Promise<MaybePeer> | undefined;

/** One for all figures of a run. */
export function openPeer(bench: Bench): Promise<MaybePeer> {
  peer ??= makePeer(bench).catch((error: unknown) => {
    if (error instanceof NotHere) return { missing: error.message };
    throw error;
  });
  return peer;
}

/** In a mount namespace of its own, so that nothing of it is seen outside and all of it is gone at the end. */
const runInTree = `set -eu
tree=$1 folder=$2
shift 2
mount --bind "$tree" "$tree"
mount -t proc proc "$tree/proc"
mount --rbind /sys "$tree/sys"
mount --rbind /dev "$tree/dev"
mkdir -p "$tree/bench"
mount --bind "$folder" "$tree/bench"
cp -L /etc/resolv.conf "$tree/etc/resolv.conf" 2>/dev/null || :
exec chroot "$tree" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 TMPDIR=/bench/tmp "$@"
`;

/** @param name Of the folder with the configuration; the output gets one of its own. */
const mkosi = (name: 'host' | 'plain'): readonly string[] => [
  'mkosi',
  `--directory=/bench/${name}`,
  '--force',
  `--output-directory=/bench/out-${name}`,
  '--workspace-directory=/bench/workspace',
  '--cache-directory=/bench/cache',
  '--package-cache-dir=/bench/packages',
];

async function makePeer(bench: Bench): Promise<MaybePeer> {
  const { path, version } = await ensureMkosi(join(dirname(cacheFolder()), 'osguard-bench'));
  const lab = openLab(bench);
  const locked = lockedPackages(lab.release());
  const folder = bench.scratch(3_000_000_000);
  const within = (name: string): string => join(folder, name);
  const write = (name: string, text: string): void => {
    mkdirSync(dirname(within(name)), { recursive: true });
    writeFileSync(within(name), text);
  };
  for (const made of ['out-host', 'out-plain', 'tmp', 'cache', 'packages', 'workspace']) {
    mkdirSync(within(made));
  }
  const { sources, settings } = await peerSources();
  for (const name of ['host', 'plain']) {
    write(`${name}/mkosi.sandbox/etc/apt/sources.list.d/mkosi.sources`, sources);
    write(`${name}/mkosi.sandbox/etc/apt/apt.conf.d/90-machine`, settings);
  }
  write('plain/mkosi.conf', plainConfiguration(locked));
  for (const [name, text] of Object.entries(plainPartitions)) write(`plain/mkosi.repart/${name}.conf`, text);
  const units = 'plain/mkosi.extra/etc/systemd/system';
  write(`${units}/bench.service`, announceUnit);
  mkdirSync(within(`${units}/multi-user.target.wants`));
  symlinkSync('../bench.service', within(`${units}/multi-user.target.wants/bench.service`));
  cpSync(lab.keys, within('keys'), { recursive: true });
  for (const [name, text] of Object.entries(partitions)) write(`host/mkosi.repart/${name}.conf`, text);
  const configure: Peer['configure'] = ({ packages = [], text }) => {
    write('host/mkosi.conf', configuration([...locked, ...packages]));
    rmSync(within('host/mkosi.extra'), { recursive: true, force: true });
    if (text !== undefined) write('host/mkosi.extra/usr/share/bench.txt', text);
  };
  configure({});
  const namespace = ['--mount', '--propagation=private', 'sh', '-c', runInTree, 'sh', path, folder];
  return {
    name: `mkosi ${version}`,
    configure,
    forget: () => {
      rmSync(within('cache'), { recursive: true, force: true });
      mkdirSync(within('cache'));
    },
    build: ({ incremental = false } = {}) => ({
      argv: [
        'unshare',
        ...namespace,
        ...mkosi('host'),
        `--incremental=${incremental ? 'yes' : 'no'}`,
        'build',
      ],
    }),
    plain: () => ({
      build: { argv: ['unshare', ...namespace, ...mkosi('plain'), '--incremental=no', 'build'] },
      path: within('out-plain/container-host.raw'),
    }),
  };
}

/** What both have in common. Without a sector size systemd-repart makes the FAT with 4096, which the firmware cannot read here. */
function common(packages: readonly string[]): string {
  return `[Distribution]
Distribution=debian
Release=trixie

[Output]
Format=disk
ImageId=container-host
ManifestFormat=
SectorSize=512

[Content]
Bootable=yes
Bootloader=uki
WithDocs=no
Packages=
${packages.map((name) => `    ${name}\n`).join('')}`;
}

function configuration(packages: readonly string[]): string {
  return `${common(packages)}KernelCommandLine=root=tmpfs rootfstype=tmpfs

[Validation]
SecureBoot=yes
SecureBootAutoEnroll=no
SecureBootKey=/bench/keys/boot.key
SecureBootCertificate=/bench/keys/boot.crt
Verity=yes
VerityKey=/bench/keys/usr.key
VerityCertificate=/bench/keys/usr.crt
`;
}

/** The console as ours, and nobody is asked anything at the first boot. */
function plainConfiguration(packages: readonly string[]): string {
  const line = 'rw selinux=0 systemd.firstboot=no systemd.show_status=auto loglevel=6 console=ttyS0,115200';
  return `${common(packages)}KernelCommandLine=${line}

[Validation]
SecureBoot=no
Verity=no
`;
}

const plainPartitions: Readonly<Record<string, string>> = {
  '00-esp': `[Partition]
Type=esp
Format=vfat
CopyFiles=/boot:/
CopyFiles=/efi:/
SizeMinBytes=128M
SizeMaxBytes=128M
`,
  '10-root': `[Partition]
Type=root
Format=ext4
CopyFiles=/
SizeMinBytes=1536M
SizeMaxBytes=1536M
`,
};

const partitions: Readonly<Record<string, string>> = {
  '00-esp': `[Partition]
Type=esp
Format=vfat
CopyFiles=/boot:/
CopyFiles=/efi:/
SizeMinBytes=128M
SizeMaxBytes=128M
`,
  '10-usr': `[Partition]
Type=usr
Format=erofs
CopyFiles=/usr:/
Minimize=guess
Verity=data
VerityMatchKey=usr
`,
  '20-usr-verity': `[Partition]
Type=usr-verity
Minimize=best
Verity=hash
VerityMatchKey=usr
`,
  '30-usr-verity-sig': `[Partition]
Type=usr-verity-sig
Verity=signature
VerityMatchKey=usr
`,
};
