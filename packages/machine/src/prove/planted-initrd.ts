/**
 * How the intruder gets in. A release has no way in: no login, no ssh, no unsigned unit. So the prover, who holds the
 * keys, hands the initrd a few more files which open the intruder's signed volume and let the host's PID 1 find his
 * unit. Kernel, initrd, command line, policies and /usr stay those of the release, bit for bit.
 */

import { sourceOf } from '@osguard/formats/bytes';
import type { CpioEntry } from '@osguard/formats/cpio';
import { writeCpio } from '@osguard/formats/cpio';
import { intruderMount } from './intruder-volume.ts';
import type { Volume } from './volume.ts';

/** Serial number of the intruder's disk; udev makes a link by it. */
export const intruderSerialNumber = 'intruder';
const units = 'usr/lib/systemd/system';

export interface PlantedInitrd {
  readonly volume: Volume;
  /** Detached PKCS#7 over its root hash by the role `layers`; absent where nothing is enforced. */
  readonly signature?: Uint8Array;
  /** Gives PID 1 and so root all capabilities back, for boots with protections off. */
  readonly allCapabilities?: boolean;
  /** Leaves the kernel's settings as they are without sysctl.d. */
  readonly noSysctls?: boolean;
  /** More files and links, for example a replacement of /init where the command line differs. */
  readonly files?: ReadonlyMap<string, Uint8Array>;
  readonly links?: ReadonlyMap<string, string>;
}

/** An uncompressed newc archive that goes before or behind the release's own initrd. */
export function plantedInitrd(planted: PlantedInitrd): Uint8Array {
  const { volume, signature, allCapabilities = false, noSysctls = false } = planted;
  const device = `/dev/disk/by-id/virtio-${intruderSerialNumber}`;
  const options = [
    `hash-offset=${volume.hashOffset}`,
    ...(signature === undefined ? [] : ['root-hash-signature=/etc/intruder.p7s']),
  ];
  const files = new Map<string, string | Uint8Array>([
    [
      `${units}/intruder-volume.service`,
      `[Unit]
DefaultDependencies=no
BindsTo=dev-disk-by\\x2did-virtio\\x2d${intruderSerialNumber}.device
After=dev-disk-by\\x2did-virtio\\x2d${intruderSerialNumber}.device osguard-trust-seal.service osguard-modules.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/lib/systemd/systemd-veritysetup attach intruder ${device} ${device} ${volume.rootHash} ${options.join(',')}
`,
    ],
    [
      `${units}/run-attack.mount`,
      `[Unit]
DefaultDependencies=no
Requires=intruder-volume.service
After=intruder-volume.service

[Mount]
What=/dev/mapper/intruder
Where=${intruderMount}
Type=erofs
Options=ro,nodev
`,
    ],
    ...(planted.files ?? []),
  ]);
  if (signature !== undefined) files.set('etc/intruder.p7s', signature);
  const links = new Map(planted.links);
  // A folder of the same name in /run wins over the one in /usr.
  const binds = [
    [noSysctls ? 'units-without-sysctl' : 'units', 'system'],
    ...(allCapabilities ? [['all-capabilities', 'system.conf.d']] : []),
  ];
  for (const [from = '', to = ''] of binds) {
    const name = `run-systemd-${to}.mount`;
    files.set(`${units}/${name}`, bindUnit(`${intruderMount}/${from}`, `/run/systemd/${to}`));
    links.set(`${units}/initrd-root-fs.target.requires/${name}`, `../${name}`);
  }
  return archive(files, links);
}

function bindUnit(what: string, where: string): string {
  return `[Unit]
DefaultDependencies=no
Requires=run-attack.mount
After=run-attack.mount
Before=initrd-root-fs.target

[Mount]
What=${what}
Where=${where}
Type=none
Options=bind
`;
}

/** An uncompressed newc archive of these files and the folders above them. */
export function archive(
  files: ReadonlyMap<string, string | Uint8Array>,
  links: ReadonlyMap<string, string> = new Map(),
): Uint8Array {
  const folders = new Set<string>();
  for (const path of [...files.keys(), ...links.keys()]) {
    const parts = path.split('/').slice(0, -1);
    for (const [index] of parts.entries()) folders.add(parts.slice(0, index + 1).join('/'));
  }
  const plain = { uid: 0, gid: 0, mtime: 0 };
  const entries: CpioEntry[] = [
    ...[...folders].sort().map((path): CpioEntry => ({ ...plain, path, mode: 0o755, kind: 'directory' })),
    ...[...files].map(([path, content]): CpioEntry => {
      const body = sourceOf(typeof content === 'string' ? Buffer.from(content) : content);
      return { ...plain, path, mode: 0o644, kind: 'file', body };
    }),
    ...[...links].map(([path, target]): CpioEntry => ({
      ...plain,
      path,
      mode: 0o777,
      kind: 'symlink',
      target,
    })),
  ];
  return Buffer.concat(Array.from(writeCpio(entries), (chunk) => Uint8Array.from(chunk)));
}
