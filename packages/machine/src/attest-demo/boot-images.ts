/** Boot images that only a holder of the boot key can make, and what else the stub takes from beside them. */

import type { ByteSource } from '@osguard/formats/bytes';
import { parsePe, readUkiSection } from '@osguard/formats/pe';
import type { Signer } from '@osguard/keys';
import { signPe } from '@osguard/keys';
import { MachineError } from '../error.ts';
import { archive } from '../prove/planted-initrd.ts';
import { appendArchive, withSections } from '../prove/rebuild-uki.ts';

/** Another image of the same key: the same kernel and command line, one more file in the initrd. */
export async function withInitrdFile(uki: ByteSource, boot: Signer): Promise<ByteSource> {
  const extra = archive(new Map([['usr/lib/osguard-demo', 'not of this release\n']]));
  const initrd = appendArchive(section(uki, '.initrd'), extra);
  return signPe(boot, withSections(uki, new Map([['.initrd', initrd]])));
}

/**
 * An image whose initrd does not ask for the IPE policy, as somebody with the boot key would make it for a machine
 * without Secure Boot: the release's own initrd does not go on there.
 */
export async function withoutIpePolicy(uki: ByteSource, boot: Signer): Promise<ByteSource> {
  const gone = archive(new Map(), new Map([['etc/ipe/osguard.p7b', '/dev/null']]));
  const initrd = appendArchive(section(uki, '.initrd'), gone);
  return signPe(boot, withSections(uki, new Map([['.initrd', initrd]])));
}

/** An add-on for the stub (systemd-stub(7)): a signed image that carries nothing but a kernel argument. */
export async function addonOf(uki: ByteSource, argument: string, boot: Signer): Promise<ByteSource> {
  const contents = new Map([['.cmdline', Buffer.from(argument)]]);
  return signPe(boot, withSections(uki, contents, { without: ['.linux', '.initrd'] }));
}

function section(uki: ByteSource, name: string): Uint8Array {
  const body = readUkiSection(parsePe(uki), name);
  if (body === undefined) throw new MachineError('bad-option', `the UKI has no section ${name}`);
  return Uint8Array.from(body.read(0, body.size));
}
