/** Whose signatures on dm-verity volumes the host takes: /usr's own signer and the layer signers of the definition. */

import { resolve } from 'node:path';
import type { Keyring } from '@osguard/keys';
import { readCertificate } from '@osguard/keys';
import type { Definition } from '../definition/index.ts';

/** DER certificates by the name under which they enter the keyring .dm-verity. */
export async function trustedVolumeSigners(
  { layers }: Definition,
  { keyring, folder }: { readonly keyring: Keyring; readonly folder: string },
): Promise<ReadonlyMap<string, Uint8Array>> {
  const trust = new Map<string, Uint8Array>([['usr', keyring.certificate('usr').der]]);
  for (const { name, certificate } of keyring.entries.filter(({ role }) => role === 'layers')) {
    trust.set(name, certificate.der);
  }
  for (const { name, certificate } of layers.signers) {
    trust.set(`layers-${name}`, (await readCertificate(resolve(folder, certificate))).der);
  }
  return trust;
}
