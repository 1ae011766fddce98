/** The IPE policy of one image: signed volumes execute, and only this very /usr supplies modules and firmware. */

import { parseIpePolicy } from '@osguard/formats/ipe';
import type { RootHash } from '@osguard/formats/verity';

export interface HostIpePolicy {
  /** As the kernel lists it. */
  readonly name: string;
  readonly text: string;
}

export function ipePolicy({
  rootHash,
  time,
}: {
  readonly rootHash: RootHash;
  readonly time: number;
}): HostIpePolicy {
  const ownUsr = `dmverity_roothash=sha256:${rootHash}`;
  const text = `policy_name=osguard policy_version=${policyVersion(time)}
DEFAULT action=DENY

op=EXECUTE boot_verified=TRUE action=ALLOW
op=EXECUTE dmverity_signature=TRUE action=ALLOW

op=KMODULE boot_verified=TRUE action=ALLOW
op=KMODULE ${ownUsr} action=ALLOW

op=FIRMWARE boot_verified=TRUE action=ALLOW
op=FIRMWARE ${ownUsr} action=ALLOW

DEFAULT op=KEXEC_IMAGE action=DENY
DEFAULT op=KEXEC_INITRAMFS action=DENY
DEFAULT op=POLICY action=DENY
DEFAULT op=X509_CERT action=DENY
`;
  parseIpePolicy(Buffer.from(text));
  return { name: 'osguard', text };
}

/** Three 16-bit numbers that grow with the age of the packages: an older policy never replaces a newer one. */
function policyVersion(time: number): string {
  const minutes = Math.floor(time / 60);
  return `1.${Math.floor(minutes / 65_536)}.${minutes % 65_536}`;
}
