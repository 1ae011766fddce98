/** Whose signatures on dm-verity volumes the host takes: /usr's own signer and the layer signers of the definition. */

import { resolve } from 'node:path';
import type { Keyring } from '@osguard/keys';
import { readCertificate } from '@osguard/keys';
import type { Definition } from '../definition/index.ts';

export interface TrustOptions {
  readonly keyring: Keyring;
  /** That paths of the definition are relative to. */
  readonly folder: string;
}

/** DER certificates by the name under which they enter the keyring .dm-verity. */
export async function trustedVolumeSigners(
  definition: Definition,
  options: TrustOptions,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const usr = options.keyring.certificate('usr').der;
  return new Map([['usr', usr], ...(await trustedLayerSigners(definition, options))]);
}

/** Those of them that may sign layers, DER by name. */
export async function trustedLayerSigners(
  { layers }: Definition,
  { keyring, folder }: TrustOptions,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const trust = new Map<string, Uint8Array>();
  for (const { name, certificate } of keyring.entries.filter(({ role }) => role === 'layers')) {
    trust.set(name, certificate.der);
  }
  for (const { name, certificate } of layers.signers) {
    trust.set(`layers-${name}`, (await readCertificate(resolve(folder, certificate))).der);
  }
  return trust;
}
