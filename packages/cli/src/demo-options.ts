/** What the demonstrations on a virtual machine take, and what they make of it. */

import type { ReleaseFolder } from '@osguard/image';
import type { Keyring } from '@osguard/keys';
import type { Parameter, Values } from './command.ts';
import { integer, needed, text, textOr } from './command.ts';

interface DemoOptions extends Readonly<Record<string, Parameter<unknown>>> {
  readonly keys: Parameter<string>;
  readonly consoles: Parameter<string | undefined>;
  readonly memory: Parameter<number | undefined>;
  readonly cpus: Parameter<number | undefined>;
}

export const demoOptions: DemoOptions = {
  keys: textOr('--keys <folder>', 'key folder the release was signed with', 'keys'),
  consoles: text('--consoles <folder>', 'keep the console of every boot there'),
  memory: integer('--memory <MiB>', 'of the virtual machine (2048)', { min: 1024, max: 65_536 }),
  cpus: integer('--cpus <number>', 'of the virtual machine (2)', { min: 1, max: 64 }),
};

export const demoArguments: { readonly release: Parameter<string> } = {
  release: needed('<release>', 'release folder'),
};

export interface DemoMachine {
  readonly release: ReleaseFolder;
  readonly keyring: Keyring;
  readonly consoles?: string;
  readonly memoryMiB?: number;
  readonly cpus?: number;
}

export async function demoMachine(
  values: Values<Pick<DemoOptions, 'keys' | 'consoles' | 'memory' | 'cpus'>> & { readonly release: string },
): Promise<DemoMachine> {
  const { openRelease } = await import('@osguard/image');
  const { loadKeyring } = await import('@osguard/keys');
  const { consoles, memory, cpus } = values;
  return {
    release: await openRelease(values.release),
    keyring: await loadKeyring(values.keys),
    ...(consoles !== undefined && { consoles }),
    ...(memory !== undefined && { memoryMiB: memory }),
    ...(cpus !== undefined && { cpus }),
  };
}
