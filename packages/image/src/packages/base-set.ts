/**
 * What every host is made of, whatever its definition says. They are installed first and cached as one tree, so that
 * adding a package to a definition does not install them again.
 */

import type { Definition } from '../definition/index.ts';

/** Packages of every container host; `docs/host-layout.md` says what each is for. */
export const basePackages: readonly string[] = [
  'ca-certificates',
  'containerd',
  'crun',
  'dbus-broker',
  'e2fsprogs',
  'iproute2',
  'iptables',
  'keyutils',
  'kmod',
  'libnss-systemd',
  'libtss2-esys-3.0.2-0t64',
  'libtss2-rc0t64',
  'libtss2-tcti-device0t64',
  'mount',
  'netbase',
  'policycoreutils',
  'selinux-policy-default',
  'systemd',
  // systemd-stub, the front of the UKI.
  'systemd-boot-efi',
  'systemd-cryptsetup',
  'systemd-repart',
  'systemd-resolved',
  'systemd-sysv',
  'systemd-timesyncd',
  'udev',
  'util-linux',
];

/**
 * Dependencies osguard itself meets, as far as apt is concerned: it builds the initrd, so no initrd generator is
 * pulled in by the kernel.
 */
const providedByOsguard: readonly string[] = ['linux-initramfs-tool'];

/** Name under which the package databases know what osguard itself brings. */
export const ownPackage = 'osguard-host';

/** Stanza of dpkg's status file, without the empty line behind it. */
export function ownStanza(): string {
  return [
    `Package: ${ownPackage}`,
    'Status: install ok installed',
    'Maintainer: osguard',
    'Architecture: all',
    'Version: 1',
    `Provides: ${providedByOsguard.join(', ')}`,
    'Description: what osguard itself puts into the image',
  ].join('\n');
}

/** What Node's own binary is linked with, beside what every host has. */
const nodePackages: readonly string[] = ['libstdc++6'];

/** Whether anything of the definition is done by osguard-node. */
export function needsNode({ attest, layers }: Pick<Definition, 'attest' | 'layers'>): boolean {
  return attest !== undefined || layers.mode !== undefined;
}

export interface Request {
  /** Names, or `name/suite` where the suite is part of the choice; installed first. */
  readonly base: readonly string[];
  /** Names the definition adds. */
  readonly extra: readonly string[];
}

export function packageRequest(definition: Definition): Request {
  const { kernel } = definition;
  const suite =
    kernel.suite ??
    (kernel.line === '7.x' ? `${definition.distribution.suite}-backports` : definition.distribution.suite);
  const node = needsNode(definition) ? nodePackages : [];
  const base = [...basePackages, ...node, `${kernel.package}/${suite}`].toSorted();
  return { base, extra: definition.packages.filter((name) => !base.includes(name)).toSorted() };
}
