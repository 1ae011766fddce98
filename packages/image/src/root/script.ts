/**
 * The two shell scripts of an installation: the outer one runs as root of the namespace and fills, leaves and packs
 * the root; the inner one runs inside the root and is dpkg with what it needs around it.
 */

import type { NamespaceJob, NamespaceStage } from './namespace-job.ts';
import type { InstallPlan } from './plan.ts';

/** Below the root while it is being installed, and gone afterwards. */
export const workFolder = 'var/tmp/osguard';

/** First descriptor of the stages: each has one to read its archive from and one to write its output to. */
export const firstDescriptor = 3;

/**
 * Runs in the root as its root user. Syncing is left out (`--force-unsafe-io`): a root that was not finished is
 * thrown away anyway. Services are not started (policy-rc.d), nothing asks.
 */
export function installScript({ unpacked, first }: InstallPlan, triggers: readonly string[]): string {
  const work = `/${workFolder}`;
  return [
    '#!/bin/sh',
    'set -eu',
    `cat ${work}/placed >> /var/lib/dpkg/status`,
    "printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d",
    'chmod 0755 /usr/sbin/policy-rc.d',
    "dpkg='dpkg --force-unsafe-io --force-confnew'",
    ...(unpacked.length === 0 ? [] : [`$dpkg --force-depends --unpack ${work}/debs/*.deb`]),
    ...first.flatMap((names) =>
      names.length === 0 ? [] : [`$dpkg --force-depends --configure ${names.join(' ')}`],
    ),
    '$dpkg --configure --pending',
    ...triggers.map((name) => `dpkg-trigger --by-package=dpkg --no-await ${quote(name)}`),
    '$dpkg --triggers-only --pending',
    // Anything left half-way is a failure, also when dpkg itself ended well.
    "if grep '^Status: ' /var/lib/dpkg/status | grep -v ' installed$'; then exit 1; fi",
    'rm -f /usr/sbin/policy-rc.d',
    '',
  ].join('\n');
}

/** For a POSIX shell. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** Not part of any image, and partly not even files. */
const notArchived = ['./proc/*', './sys/*', './dev/*', './run/*', './tmp/*'];

const extract = [
  'tar --extract --directory="$root" --preserve-permissions --same-owner --numeric-owner --delay-directory-restore',
  "--keep-directory-symlink --keep-old-files --xattrs --xattrs-include='*' --file=-",
].join(' ');

const create = [
  'tar --create --directory="$root" --format=posix --sort=name --numeric-owner --one-file-system',
  "--xattrs --xattrs-include='*' --xattrs-exclude='security.selinux' --pax-option=delete=atime,delete=ctime",
  ...notArchived.map((pattern) => `--exclude='${pattern}'`),
  '--file=-',
].join(' ');

/** The folders the kernel fills. Where nodes cannot be made (a user namespace), the outer ones are bound instead. */
const kernelFolders = `
mkdir -p "$root"/proc "$root"/sys "$root"/dev "$root"/run "$root"/tmp
mount -t proc proc "$root"/proc 2>/dev/null || mount --rbind /proc "$root"/proc 2>/dev/null || echo 'no /proc inside' >&2
node() {
  mknod -m 0666 "$root"/dev/"$1" c "$2" "$3" 2>/dev/null || { : > "$root"/dev/"$1"; mount --bind /dev/"$1" "$root"/dev/"$1"; }
}
node null 1 3
node zero 1 5
node full 1 7
node random 1 8
node urandom 1 9
ln -sf /proc/self/fd "$root"/dev/fd
ln -sf /proc/self/fd/0 "$root"/dev/stdin
ln -sf /proc/self/fd/1 "$root"/dev/stdout
ln -sf /proc/self/fd/2 "$root"/dev/stderr`;

/**
 * The outer script. It leaves mount and network namespace of its caller where the kernel lets it, so that mounts
 * vanish with it whatever happens.
 */
export function namespaceScript({ stages, time, memory }: NamespaceJob): string {
  const work = [
    'set -eu',
    'root="$1"/root',
    'mkdir "$root"',
    ...(memory === 0
      ? []
      : [
          `mount -t tmpfs -o mode=0755,size=${memory} osguard "$root" 2>/dev/null || echo 'no memory file system, using the disk' >&2`,
        ]),
    ...stages.flatMap((stage, index) => stageSteps(stage, index, time)),
    'umount --recursive --lazy "$root" 2>/dev/null || umount --lazy "$root"/proc 2>/dev/null || :',
  ].join('\n');
  return [
    'set -eu',
    `work=${quote(work)}`,
    'if unshare --mount --net --ipc --uts true 2>/dev/null; then',
    '  exec unshare --mount --net --ipc --uts sh -c "$work" osguard "$1"',
    'fi',
    'exec sh -c "$work" osguard "$1"',
  ].join('\n');
}

function stageSteps(stage: NamespaceStage, index: number, time: number): string[] {
  const input = firstDescriptor + 2 * index;
  const output = input + 1;
  const paths = (stage.outputs ?? ['.']).map((path) => quote(path)).join(' ');
  return [
    `${extract} <&${input}`,
    ...(index === 0 ? [kernelFolders] : []),
    ...(stage.script === undefined ? [] : [inRoot(stage.script, time)]),
    ...(stage.remove ?? []).map((path) => `rm -rf -- "$root"/${quote(path)}`),
    ...(stage.output === undefined ? [] : [`${create} ${paths} >&${output}`]),
  ];
}

/** The environment is emptied: what a maintainer script sees must not depend on who builds. */
function inRoot(script: string, time: number): string {
  const env = [
    'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
    'HOME=/root',
    'LC_ALL=C.UTF-8',
    'TZ=UTC',
    'DEBIAN_FRONTEND=noninteractive',
    'DEBCONF_NONINTERACTIVE_SEEN=true',
    'SYSTEMD_OFFLINE=1',
    `SOURCE_DATE_EPOCH=${time}`,
  ].join(' ');
  return `umask 022; env -i ${env} chroot "$root" /bin/sh /${script} </dev/null >&2`;
}
