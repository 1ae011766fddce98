/**
 * The last step before labelling: only /usr is left. /etc becomes /usr/share/factory/etc, which the initrd binds
 * read-only over /etc; the compiled SELinux policy goes where it is found from there.
 */

import type { Definition } from '../definition/index.ts';
import type { RootTree } from '../tree/index.ts';
import { BodyReader } from '../tree/index.ts';

export interface SettleHostOptions {
  readonly definition: Pick<Definition, 'name' | 'hostname' | 'enforcement'>;
  /** Holds `etc/selinux`: configuration, contexts, compiled policy. */
  readonly selinux: RootTree;
  /** Seconds since 1970. */
  readonly time: number;
}

const factory = 'usr/share/factory/etc';
const policyFolder = 'usr/share/selinux-etc';
/** Links of an own /etc: no file behind them is part of the image. */
const etcLinks: readonly (readonly [string, string])[] = [
  ['mtab', '../proc/self/mounts'],
  ['os-release', '../usr/lib/os-release'],
  ['resolv.conf', '../run/systemd/resolve/stub-resolv.conf'],
  ['selinux', '../usr/share/selinux-etc'],
];

/** Changes the tree in place. */
export function settleHost(tree: RootTree, { definition, selinux, time }: SettleHostOptions): void {
  const dated = { mtime: time };
  tree.remove('etc/selinux');
  for (const [name, target] of etcLinks) {
    tree.remove(`etc/${name}`);
    tree.putLink(`etc/${name}`, target, dated);
  }
  // Empty: systemd makes a machine ID for this boot and lays it over the file.
  tree.putFile('etc/machine-id', '', { ...dated, mode: 0o444 });
  if (!tree.has('etc/hostname'))
    tree.putFile('etc/hostname', `${definition.hostname ?? definition.name}\n`, dated);
  tree.remove(factory);
  tree.putDirectory('usr/share/factory', dated);
  tree.rename('etc', factory);
  for (const { path, node } of selinux.walk('etc/selinux')) {
    tree.put(path.replace('etc/selinux', policyFolder), { ...node, mtime: time });
  }
  setSelinuxMode(tree, definition.enforcement.selinux, time);
  for (const name of tree.names('')) if (name !== 'usr') tree.remove(name);
}

function setSelinuxMode(tree: RootTree, mode: string, time: number): void {
  using bodies = new BodyReader();
  const path = `${policyFolder}/config`;
  const node = tree.get(path);
  const text = node === undefined ? 'SELINUXTYPE=default\n' : bodies.text(node);
  const rest = text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#') && !line.startsWith('SELINUX='));
  tree.putFile(path, `${[`SELINUX=${mode}`, ...rest].join('\n')}\n`, { mtime: time });
}
