/**
 * What osguard-node needs in the image: the program, its configuration and the units of the roles the definition asks
 * for. A definition that asks for none gets nothing of it.
 */

import { join } from 'node:path';
import { encodeNodeConfiguration } from '@osguard/formats/node-configuration';
import type { SbomComponent } from '@osguard/formats/spdx';
import { encodePem } from '@osguard/formats/x509';
import type { Keyring } from '@osguard/keys';
import { readCertificate } from '@osguard/keys';
import type { Definition } from '../definition/index.ts';
import { ImageError } from '../error.ts';
import { needsNode } from '../packages/index.ts';
import type { TrustOptions } from '../release/trust.ts';
import { trustedLayerSigners } from '../release/trust.ts';
import type { RootTree } from '../tree/index.ts';
import { BodyReader, makeNode } from '../tree/index.ts';
import { readOwnFiles } from './own-files.ts';

/** A finished osguard-node. */
export interface NodeProgram {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** What is inside, for the bill of materials. */
  readonly components: readonly SbomComponent[];
}

export interface InstallNodeOptions {
  readonly definition: Definition;
  readonly keyring: Keyring;
  /** That paths of the definition are relative to. */
  readonly folder: string;
  /** Called only when the definition asks for something that osguard-node does. */
  readonly program?: (() => Promise<NodeProgram>) | undefined;
  /** Dates everything that is added. Seconds since 1970. */
  readonly time: number;
}

const home = 'usr/lib/osguard';
const units = 'usr/lib/systemd/system';
const containerdConfig = 'etc/containerd/config.toml';

/** Changes the tree in place; returns what was added that no package brought. @throws ImageError `definition`, KeysError */
export async function installNode(
  tree: RootTree,
  options: InstallNodeOptions,
): Promise<readonly SbomComponent[]> {
  const { definition, program, time } = options;
  if (!needsNode(definition)) return [];
  if (program === undefined) {
    throw new ImageError(
      'definition',
      'the definition asks for attest or layers.mode, which osguard-node does',
      {
        hint: 'build with `osguard image build`, or give buildImage the executable',
      },
    );
  }
  const { path, size, components } = await program();
  const body = { kind: 'range' as const, path, offset: 0, size };
  tree.put(`${home}/osguard-node`, makeNode({ type: 'file', mode: 0o755, mtime: time, body }));
  tree.putFile(`${home}/node.json`, await configuration(options), { mtime: time });
  const { attest, layers } = definition;
  if (attest !== undefined) addUnit(tree, 'attest', time);
  if (layers.mode === undefined) return components;
  addUnit(tree, 'layers', time);
  // The CRI plugin makes this folder when it is missing, and does not start where it cannot.
  tree.putDirectory('etc/cni/net.d', { mtime: time });
  if (layers.sandboxImage !== undefined) {
    append(tree, { path: containerdConfig, text: sandboxImage(layers.sandboxImage), time });
  }
  for (const host of layers.insecureRegistries) {
    tree.putFile(`etc/containerd/certs.d/${host}/hosts.toml`, insecureRegistry(host), { mtime: time });
  }
  return components;
}

/** containerd's registry configuration (docs/hosts.md of containerd). */
function insecureRegistry(host: string): string {
  return `server = "http://${host}"\n\n[host."http://${host}"]\ncapabilities = ["pull", "resolve"]\n`;
}

/** A key of the CRI plugin's table (docs/cri/config.md of containerd), with which our configuration ends. */
function sandboxImage(reference: string): string {
  return `sandbox_image = "${reference}"\n`;
}

function append(
  tree: RootTree,
  { path, text, time }: { readonly path: string; readonly text: string; readonly time: number },
): void {
  using bodies = new BodyReader();
  const node = tree.get(path);
  const before = node === undefined ? '' : bodies.text(node);
  tree.putFile(path, `${before}${text}`, { mtime: time });
}

/** The files of one role, and its unit `osguard-ROLE.service` started with the host. */
function addUnit(tree: RootTree, role: string, time: number): void {
  for (const [path, body] of readOwnFiles(join(import.meta.dirname, 'node-files', role)))
    tree.putFile(path, body, { mtime: time });
  const unit = `osguard-${role}.service`;
  tree.putLink(`${units}/multi-user.target.wants/${unit}`, `../${unit}`, { mtime: time });
}

async function configuration({ definition, keyring, folder }: InstallNodeOptions): Promise<string> {
  const { name, version, attest, layers } = definition;
  return encodeNodeConfiguration({
    schema: 'osguard/node/v1',
    release: { name, version },
    ...(attest !== undefined && {
      attest: {
        verifier: attest.verifier,
        ca:
          attest.ca === undefined
            ? encodePem('CERTIFICATE', keyring.certificate('verifier').der)
            : encodePem('CERTIFICATE', (await readCertificate(join(folder, attest.ca))).der),
        interval: attest.interval,
      },
    }),
    ...(layers.mode !== undefined && {
      layers: {
        mode: layers.mode,
        insecureRegistries: layers.insecureRegistries,
        signers: (await layerSigners(definition, { keyring, folder })).join(''),
        release: encodePem('CERTIFICATE', keyring.certificate('release').der),
      },
    }),
  });
}

/** PEM. */
async function layerSigners(definition: Definition, options: TrustOptions): Promise<readonly string[]> {
  const signers = await trustedLayerSigners(definition, options);
  return [...signers.values()].map((der) => encodePem('CERTIFICATE', der));
}
