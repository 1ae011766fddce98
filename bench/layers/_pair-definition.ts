/**
 * The definition of a host in which the peer can run too: containerd's own overlayfs snapshotter is there, and IPE says
 * what it would refuse instead of refusing it. All the rest is `definitions/container-host.yaml`.
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

type Edit = readonly [from: RegExp, to: string];

const definitionEdits: readonly Edit[] = [
  // Nobody is there to attest to.
  [/^attest:\n(?:  .*\n)+/m, ''],
  [/^  ipe: enforce$/m, '  ipe: audit'],
  // What IPE says goes to the kernel log, but does not wait for the serial console: only the peer is talked about.
  [/^sysctls:$/m, 'sysctls:\n  kernel.printk: "4 4 1 7"'],
  // Both sides keep the image.
  [/^  var: \d+ MiB$/m, '  var: 3 GiB'],
];

const containerdEdits: readonly Edit[] = [
  [/^  "io\.containerd\.snapshotter\.v1\.overlayfs",\n/m, ''],
  [/^default = \["osguard-diff"\]$/m, 'default = ["osguard-diff", "walking"]'],
];

const containerdFile = 'packages/image/src/host/node-files/layers/etc/containerd/config.toml';

/** @param folder Where it is written to. @returns its path */
export function writePairDefinition(root: string, folder: string): string {
  mkdirSync(folder, { recursive: true });
  const definition = edited(root, 'definitions/container-host.yaml', definitionEdits);
  writeFileSync(join(folder, 'containerd.toml'), edited(root, containerdFile, containerdEdits));
  const path = join(folder, 'pair-host.yaml');
  const files = 'files:\n  - path: /etc/containerd/config.toml\n    source: containerd.toml\n';
  writeFileSync(path, `${definition}\n${files}`);
  return path;
}

function edited(root: string, file: string, edits: readonly Edit[]): string {
  let text = readFileSync(join(root, file), 'utf8');
  for (const [from, to] of edits) {
    if (!from.test(text)) throw new Error(`${file} has nothing like ${from.source} any more`);
    text = text.replace(from, to);
  }
  return text;
}
