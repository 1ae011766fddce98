/**
 * File capabilities: the value of security.capability, `struct vfs_cap_data` of include/uapi/linux/capability.h
 * (revisions 1 to 3), in words that setcap(8) reads.
 */

import { ByteReader, FormatError } from '@osguard/formats/bytes';

export interface FileCapabilities {
  readonly revision: 1 | 2 | 3;
  /** Bit masks by capability number. */
  readonly permitted: bigint;
  readonly inheritable: bigint;
  /** All permitted ones are effective at once. */
  readonly effective: boolean;
  /** Root of the user namespace they are for; revision 3. */
  readonly rootId: number | undefined;
}

/** include/uapi/linux/capability.h, by number. */
const names = (
  'chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service ' +
  'net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin ' +
  'sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override ' +
  'mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore'
).split(' ');
const revisionMask = 0xff00_0000;
const effectiveFlag = 1;
const sizes: ReadonlyMap<number, number> = new Map([
  [1, 12],
  [2, 20],
  [3, 24],
]);

/** @throws FormatError for a value the kernel would answer with EINVAL. */
export function parseFileCapabilities(value: Uint8Array): FileCapabilities {
  const reader = new ByteReader(value);
  const magic = reader.u32('magic_etc');
  const number = (magic & revisionMask) >>> 24;
  if (sizes.get(number) !== value.length || (number !== 1 && number !== 2 && number !== 3)) {
    throw new FormatError('malformed', `security.capability: revision ${number} in ${value.length} bytes`, {
      offset: 0,
    });
  }
  let permitted = 0n;
  let inheritable = 0n;
  for (let word = 0n; word < (number === 1 ? 1n : 2n); word += 1n) {
    permitted |= BigInt(reader.u32('permitted')) << (32n * word);
    inheritable |= BigInt(reader.u32('inheritable')) << (32n * word);
  }
  const rootId = number === 3 ? reader.u32('rootid') : undefined;
  reader.end('security.capability');
  return {
    revision: number,
    permitted,
    inheritable,
    effective: (magic & effectiveFlag) !== 0,
    rootId,
  };
}

/** `cap_net_raw=ep`, with ` [rootid=1000]` behind it when it is for one user namespace. */
export function formatFileCapabilities(capabilities: FileCapabilities): string {
  const { permitted, inheritable, effective, rootId } = capabilities;
  const groups = new Map<string, string[]>();
  for (let bit = 0; bit < 64; bit += 1) {
    const isPermitted = ((permitted >> BigInt(bit)) & 1n) === 1n;
    const isInheritable = ((inheritable >> BigInt(bit)) & 1n) === 1n;
    if (!isPermitted && !isInheritable) continue;
    const flags = `${effective ? 'e' : ''}${isInheritable ? 'i' : ''}${isPermitted ? 'p' : ''}`;
    const name = names[bit] === undefined ? String(bit) : `cap_${names[bit]}`;
    groups.set(flags, [...(groups.get(flags) ?? []), name]);
  }
  const text = [...groups].map(([flags, list]) => `${list.join(',')}=${flags}`).join(' ');
  return `${text === '' ? '=' : text}${rootId === undefined ? '' : ` [rootid=${rootId}]`}`;
}
