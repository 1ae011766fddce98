/** What each attack has to be told: names on the intruder's volume, devices, policies. */

import type { ProofContext } from './boots.ts';
import { intruderPaths } from './intruder-volume.ts';
import type { ProofFiles, TestVolume } from './proof-files.ts';

export function attackArguments(id: string, context: ProofContext): Readonly<Record<string, unknown>> {
  const { files } = context;
  switch (id) {
    case 'exec-script':
    case 'kexec':
      return intruderPaths;
    case 'ipe-foreign':
    case 'ipe-rollback':
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

function volumes(files: ProofFiles, name: keyof ProofFiles['volumes']): Readonly<Record<string, unknown>> {
  return { volume: describe(files, name), control: describe(files, 'signed') };
}

function describe(files: ProofFiles, name: keyof ProofFiles['volumes']): Readonly<Record<string, unknown>> {
  const { volume, path, signature }: TestVolume = files.volumes[name];
  return {
    device: path,
    rootHash: volume.rootHash,
    hashOffset: volume.hashOffset,
    ...(signature !== undefined && { signature }),
  };
}
