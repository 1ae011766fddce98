/**
 * What packages bring that this host cannot use, though it needs the packages: programs, kernel modules and libraries. What
 * somebody asked for stays: files of packages the definition names, modules of `modules.load`, and whatever those need.
 */

import { sourceOf } from '@osguard/formats/bytes';
import type { ByteSource } from '@osguard/formats/bytes';
import { isElf, parseNeeded } from '@osguard/formats/elf';
import type { Definition } from '../definition/index.ts';
import type { RemovedByRule } from '../prune/index.ts';
import type { RootNode, RootTree } from '../tree/index.ts';
import { BodyReader, bodySize } from '../tree/index.ts';

interface Rule {
  readonly id: string;
  readonly why: string;
  /** Without leading slash, whole paths of files. */
  readonly paths: RegExp;
}

const programs: readonly Rule[] = [
  {
    id: 'older-shim',
    why: 'containerd starts containerd-shim-runc-v2 alone',
    paths: /^usr\/bin\/containerd-shim(?:-runc-v1)?$/,
  },
  {
    id: 'network-tool',
    why: 'networkd and CNI plugins speak to the kernel themselves, and nobody logs in to look',
    paths:
      /^usr\/s?bin\/(?:arpd|bridge|ctstat|dcb|devlink|genl|lnstat|nstat|rdma|routel|rtacct|rtmon|rtstat|ss|tc|tipc|vdpa)$|^usr\/lib\/x86_64-linux-gnu\/tc\/.+$/,
  },
];

/** Below usr/lib/modules/RELEASE/kernel. */
const modules: readonly Rule[] = [
  {
    id: 'module-virtual-machines',
    why: 'the host runs containers, not virtual machines',
    paths:
      /^(?:arch\/x86\/kvm|drivers\/(?:vfio|vhost|block\/xen-blkback|net\/xen-netback|xen\/xen-pciback))\//,
  },
  {
    id: 'module-storage-server',
    why: 'the host serves no disks and file systems to others',
    paths: /^(?:drivers\/(?:block\/drbd|nvme\/target|target)|fs\/(?:nfsd|smb\/server))\//,
  },
  {
    id: 'module-file-system',
    why: 'file systems of desktops and removable disks, and what is under nobody’s disk here',
    paths:
      /^(?:drivers\/md\/(?:bcache|dm-vdo)|fs\/(?:adfs|affs|befs|bfs|btrfs|coda|cramfs|ecryptfs|efs|exfat|f2fs|freevxfs|gfs2|hfs|hfsplus|hpfs|jffs2|jfs|minix|nilfs2|ntfs|ntfs3|ocfs2|omfs|orangefs|qnx4|qnx6|reiserfs|romfs|sysv|ubifs|udf|ufs|zonefs))\//,
  },
  {
    id: 'module-names-of-files',
    why: 'the ESP is read with code page 437 and ISO 8859-1',
    paths: /^fs\/nls\/(?!nls_(?:ascii|cp437|iso8859-1|ucs2_utils|utf8)\.)/,
  },
  {
    id: 'module-protocol',
    why: 'networks that no container of a server speaks',
    paths:
      /^(?:net\/(?:6lowpan|appletalk|atm|ax25|batman-adv|bluetooth|can|dccp|ieee802154|kcm|l2tp|lapb|mac80211|mac802154|netrom|nfc|phonet|rds|rose|rxrpc|tipc|wireless|x25)|drivers\/net\/(?:ppp|wireless|wwan))\//,
  },
  {
    id: 'module-device',
    why: 'devices of laboratories, laptops and tests, which no server has',
    paths:
      /^(?:sound|drivers\/(?:block\/null_blk|bluetooth|bus\/mhi|comedi|gpu|iio|input\/(?:joystick|mouse|rmi4|tablet|touchscreen)|media|platform\/surface|staging|thermal))\/|^(?:drivers\/scsi\/scsi_debug|net\/core\/pktgen)\./,
  },
];

/** They go only when no program or library that stays needs them. */
const libraryFolder = 'usr/lib/x86_64-linux-gnu';
const libraries: Rule = {
  id: 'library',
  why: 'of the programs that stay none needs it',
  paths:
    /^usr\/lib\/x86_64-linux-gnu\/(?:lib(?:bsd|bz2|c_malloc_debug|com_err|db-5\.3|expatw|fdisk|gmp|gssapi_krb5|k5crypto|krb5|krb5support|lastlog2|md|memusage|mvec|netfilter_conntrack|nsl|nss_compat|nss_hesiod|pam_misc|pamc|pcprofile|psx|sqlite3|ss|thread_db|tic|tirpc)[.-][^/]*|krb5\/.+)$/,
};

export interface UnneededOptions {
  readonly definition: Pick<Definition, 'modules'>;
  /** Files of packages the definition asked for. */
  readonly extra: ReadonlySet<string>;
}

/** Programs and libraries. Changes the tree in place; what else is dropped is gone already. */
export function dropUnneeded(tree: RootTree, { extra }: UnneededOptions): readonly RemovedByRule[] {
  return [
    ...programs.map((rule) => take(tree, { rule, paths: matching(tree, rule, extra) })),
    dropLibraries(tree, extra),
  ];
}

function matching(tree: RootTree, rule: Rule, extra: ReadonlySet<string>): readonly string[] {
  return [...tree.walk()].flatMap(({ path, node }) =>
    node.type !== 'directory' && rule.paths.test(path) && !extra.has(path) ? [path] : [],
  );
}

interface Taken {
  readonly rule: Rule;
  readonly paths: readonly string[];
}

function take(tree: RootTree, { rule, paths }: Taken): RemovedByRule {
  let bytes = 0;
  for (const path of paths) {
    const node = tree.get(path);
    bytes += node?.type === 'file' ? bodySize(node) : 0;
    tree.remove(path);
    for (
      let folder = parentOf(path);
      folder !== '' && tree.names(folder).length === 0;
      folder = parentOf(folder)
    )
      tree.remove(folder);
  }
  return { rule: rule.id, why: rule.why, paths: paths.toSorted(), bytes };
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

/** While depmod's index is there as text. A module that another one needs, which stays, stays too. */
export function dropUnneededModules(
  tree: RootTree,
  { definition, extra }: UnneededOptions,
): readonly RemovedByRule[] {
  using bodies = new BodyReader();
  return tree.names('usr/lib/modules').flatMap((release) => {
    const folder = `usr/lib/modules/${release}`;
    const index = tree.get(`${folder}/modules.dep`);
    if (index === undefined) return [];
    const needs = parseDependencies(bodies.text(index));
    const loaded = new Set(definition.modules.load.map(moduleName));
    const ruleOf = (path: string): Rule | undefined =>
      loaded.has(moduleName(path)) || extra.has(`${folder}/${path}`)
        ? undefined
        : modules.find(({ paths }) => paths.test(path.replace(/^kernel\//, '')));
    const needed = new Set(
      [...needs].flatMap(([path, others]) => (ruleOf(path) === undefined ? others : [])),
    );
    return modules.map((rule) => {
      const paths = [...needs.keys()].filter((path) => ruleOf(path) === rule && !needed.has(path));
      return take(tree, { rule, paths: paths.map((path) => `${folder}/${path}`) });
    });
  });
}

/** depmod's modules.dep: `PATH: PATH…`, each with all it needs. */
function parseDependencies(text: string): ReadonlyMap<string, readonly string[]> {
  const lines = text.split('\n').filter((line) => line.includes(':'));
  return new Map(
    lines.map((line) => {
      const [path = '', rest = ''] = line.split(':', 2);
      return [path, rest.split(' ').filter((each) => each !== '')];
    }),
  );
}

function moduleName(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1);
  return name.replace(/\.ko(?:\.\w+)?$/, '').replaceAll('-', '_');
}

function dropLibraries(tree: RootTree, extra: ReadonlySet<string>): RemovedByRule {
  using bodies = new BodyReader();
  const candidates = new Set(matching(tree, libraries, extra));
  const waiting: string[] = [];
  const head = Buffer.alloc(4);
  for (const { path, node } of tree.walk()) {
    if (node.type !== 'file' || candidates.has(path)) continue;
    if (bodies.readAt(node, head, 0) === head.length && isElf(head)) waiting.push(path);
  }
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const node = tree.get(path);
    const names = node?.type === 'symlink' ? [node.target ?? ''] : neededBy(node, bodies);
    for (const name of names)
      if (candidates.delete(`${libraryFolder}/${name}`)) waiting.push(`${libraryFolder}/${name}`);
  }
  return take(tree, { rule: libraries, paths: [...candidates] });
}

function neededBy(node: RootNode | undefined, bodies: BodyReader): readonly string[] {
  return node?.type === 'file' ? parseNeeded(bodySource(node, bodies)) : [];
}

/** Only a few pages of large programs are read. */
function bodySource(node: RootNode, bodies: BodyReader): ByteSource {
  return {
    size: bodySize(node),
    read(offset, length) {
      const bytes = Buffer.alloc(length);
      const count = bodies.readAt(node, bytes, offset);
      // Says where the file ends, in the words of all sources.
      return count === length ? bytes : sourceOf(bytes.subarray(0, count)).read(0, length);
    },
  };
}
