/** What each attack has to be told: names on the intruder's volume, devices, policies. */

import type { ProofContext } from './context.ts';
import { intruderPaths } from './intruder-volume.ts';
import type { ProofFiles, TestVolume } from './proof-files.ts';

type Arguments = Readonly<Record<string, unknown>>;

const smbiosUnit = 'smbios-intruder.service';
const smbiosUnitText =
  '[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nExecStart=/bin/true\nStandardOutput=tty\n';

/** A systemd unit as the hypervisor hands it in: an OEM string of SMBIOS, type 11 (systemd-debug-generator(8)). */
export const smbiosCredential: string = `io.systemd.credential.binary:systemd.extra-unit.${smbiosUnit}=${Buffer.from(smbiosUnitText).toString('base64')}`;

/** The same on both sides of the reboot: how he recognises what he left. */
export const persistArguments: Arguments = {
  mark: 'left by the intruder of the proof',
  unit: 'intruder.service',
};

export function attackArguments(id: string, context: ProofContext): Arguments {
  const { files } = context;
  switch (id) {
    case 'credential-smbios':
      return { unit: smbiosUnit };
    case 'exec-script':
    case 'kexec':
      return intruderPaths;
    case 'ipe-foreign':
    case 'ipe-rollback':
    case 'ipe-delete':
      return files.policies;
    case 'verity-unsigned':
      return volumes(files, 'unsigned');
    case 'verity-foreign':
      return volumes(files, 'foreign');
    case 'verity-swapped':
      return volumes(files, 'swapped');
    default:
      return {};
  }
}

function volumes(files: ProofFiles, name: keyof ProofFiles['volumes']): Arguments {
  return { volume: describe(files, name), control: describe(files, 'signed') };
}

function describe(files: ProofFiles, name: keyof ProofFiles['volumes']): Arguments {
  const { volume, path, signature }: TestVolume = files.volumes[name];
  return {
    device: path,
    rootHash: volume.rootHash,
    hashOffset: volume.hashOffset,
    ...(signature !== undefined && { signature }),
  };
}
