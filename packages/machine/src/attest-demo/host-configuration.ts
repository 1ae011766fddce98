/** What the node of a release was told: read from its signed /usr, where nobody can have changed it unseen. */

import { FormatError } from '@osguard/formats/bytes';
import { readErofs } from '@osguard/formats/erofs';
import type { NodeConfiguration } from '@osguard/formats/node-configuration';
import { parseNodeConfiguration } from '@osguard/formats/node-configuration';
import type { ReleaseFolder } from '@osguard/image';
import { openFileSource } from '@osguard/image';
import { MachineError } from '../error.ts';

const path = '/lib/osguard/node.json';

/** Undefined when the release has no osguard-node. */
export function readHostConfiguration(release: ReleaseFolder): NodeConfiguration | undefined {
  using usr = openFileSource(release.file('usr.erofs'));
  const image = readErofs(usr);
  const node = image.lookup(path);
  if (node === undefined) return undefined;
  try {
    return parseNodeConfiguration(Buffer.from(image.read(node)).toString('utf8'));
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new MachineError('bad-option', `${release.path}: /usr${path}: ${cause.message}`, { cause });
  }
}

/** QEMU's user network shows the loopback address of this machine to the guest as this one. */
const loopbackInGuest = '10.0.2.2';

/** Port on this machine at which the guest looks for its verifier. @throws MachineError (`bad-option`) */
export function verifierPort(release: ReleaseFolder): number {
  const attest = readHostConfiguration(release)?.attest;
  const example = `attest: {verifier: "https://${loopbackInGuest}:7443"}`;
  if (attest === undefined) {
    throw new MachineError('bad-option', `${release.name} ${release.version} has no attestation agent`, {
      hint: `add ${example} to its definition and build it again`,
    });
  }
  const { hostname, port } = new URL(attest.verifier);
  if (hostname !== loopbackInGuest) {
    throw new MachineError(
      'bad-option',
      `${release.name} ${release.version} proves itself to ${attest.verifier}, which this machine cannot be for it`,
      { hint: `for a demonstration build it with ${example}` },
    );
  }
  return port === '' ? 443 : Number(port);
}
