/** What two installations of the same packages may differ in, and what describes the build instead of the host. */

import type { RootTree } from '../tree/index.ts';

/** Left by installing: logs, caches, backups, identities. A `/*` at the end keeps the folder itself. */
const leftovers: readonly string[] = [
  'dev/*',
  'home/*',
  'media/*',
  'mnt/*',
  'proc/*',
  'root/*',
  'run/*',
  'sys/*',
  'tmp/*',
  'var/backups/*',
  'var/cache/apt',
  'var/cache/debconf',
  'var/cache/ldconfig',
  'var/cache/man',
  'var/lib/apt',
  'var/lib/dbus/machine-id',
  'var/lib/dpkg/lock',
  'var/lib/dpkg/lock-frontend',
  'var/lib/dpkg/status-old',
  'var/lib/dpkg/diversions-old',
  'var/lib/dpkg/statoverride-old',
  'var/lib/dpkg/available',
  'var/lib/dpkg/available-old',
  'var/lib/dpkg/triggers/*',
  'var/lib/dpkg/updates/*',
  'var/lib/systemd/random-seed',
  'var/lib/systemd/catalog/database',
  'var/lib/urandom',
  'var/log/*',
  'var/tmp/*',
  'etc/.pwd.lock',
  'etc/group-',
  'etc/gshadow-',
  'etc/passwd-',
  'etc/shadow-',
  'etc/subgid-',
  'etc/subuid-',
  'etc/apt',
  'etc/dpkg/dpkg.cfg.d/osguard',
  'etc/hostname',
  'etc/machine-id',
  'etc/mtab',
  'initrd.img',
  'initrd.img.old',
  'vmlinuz',
  'vmlinuz.old',
];

/** While installing, these showed what was mounted on them. */
const mountPoints: ReadonlyMap<string, number> = new Map([
  ['dev', 0o755],
  ['proc', 0o555],
  ['run', 0o755],
  ['sys', 0o555],
  ['tmp', 0o1777],
]);

/** Keys a package makes for the machine it is installed on: one key for all hosts would be no secret. */
const generatedKeys = [
  /^etc\/ssh\/ssh_host_[a-z0-9]+_key(?:\.pub)?$/,
  /^etc\/ssl\/(?:private|certs)\/ssl-cert-snakeoil\.(?:key|pem)$/,
];

export interface NormalizeReport {
  /** Keys that were made during the installation and taken out again. */
  readonly keys: readonly string[];
}

/** Changes the tree in place; `time` dates what has no date of its own. Seconds since 1970. */
export function normalizeTree(tree: RootTree, time: number): NormalizeReport {
  for (const path of leftovers) {
    if (!path.endsWith('/*')) tree.remove(path);
    else for (const name of tree.names(path.slice(0, -2))) tree.remove(path.slice(0, -1) + name);
  }
  for (const [path, mode] of mountPoints) tree.putDirectory(path, { mode });
  const keys: string[] = [];
  tree.root.mtime = time;
  tree.root.mode = 0o755;
  for (const { path, node } of tree.walk()) {
    if (generatedKeys.some((pattern) => pattern.test(path))) {
      keys.push(path);
      tree.remove(path);
      continue;
    }
    // Directories are touched by everything that happens in them.
    if (node.type === 'directory' || node.mtime > time) node.mtime = time;
  }
  return { keys };
}
