/** FlushContext and EvictControl (TPM 2.0 Library Part 3, sections 28.4 and 28.5). */

import { tpmHandle, tpmWriter } from '@osguard/formats/tpm2';
import type { Authorization } from '../authorization.ts';
import type { Entity, Tpm } from '../tpm.ts';

/** Frees a transient object or a session. */
export async function flushContext(tpm: Tpm, handle: number): Promise<void> {
  await tpm.run('FlushContext', { parameters: tpmWriter().u32(handle).finish() });
}

/** Makes a loaded object persistent under `persistent`, or removes the persistent object that has this handle. */
export async function evictControl(
  tpm: Tpm,
  object: Entity,
  options: { readonly persistent: number; readonly owner?: Authorization },
): Promise<void> {
  await tpm.run('EvictControl', {
    entities: [
      { handle: tpmHandle.owner, auth: options.owner ?? {} },
      { handle: object.handle, ...nameOf(object) },
    ],
    parameters: tpmWriter().u32(options.persistent).finish(),
  });
}

function nameOf({ name }: Entity): { readonly name?: Uint8Array } {
  return name === undefined ? {} : { name };
}
