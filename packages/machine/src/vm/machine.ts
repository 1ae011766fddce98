/** The public way to a running machine. */

import { step } from '@osguard/events';
import type { EventSink } from '@osguard/events';

import { chooseAccelerator } from './accelerator.ts';
import { launch } from './launch.ts';
import type { Machine } from './launch.ts';
import type { MachineOptions } from './options.ts';

/**
 * Starts a virtual machine with UEFI, SMM and a TPM 2.0. It is switched off when disposed of
 * (`await using machine = …`) and dies with this process, however that ends.
 *
 * @throws MachineError `firmware-missing`, `start-failed`, `bad-option`, `aborted`
 */
export async function startMachine(options: MachineOptions, sink?: EventSink): Promise<Machine> {
  const wanted = options.accelerator ?? 'auto';
  const accelerator =
    wanted === 'auto' ? (await chooseAccelerator(options.tools, options.cache)).accelerator : wanted;
  const title = `start the virtual machine (${accelerator.toUpperCase()})`;
  return await step(sink, { id: 'vm-start', title }, () => launch(options, accelerator));
}
