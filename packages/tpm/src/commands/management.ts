/** Startup, Shutdown, SelfTest, Clear, GetRandom (TPM 2.0 Library Part 3, sections 9, 10, 16.1 and 24.6). */

import { readSized, tpmHandle, tpmWriter } from '@osguard/formats/tpm2';
import type { Authorization } from '../authorization.ts';
import { isRefusal, TpmError } from '../error.ts';
import type { Tpm } from '../tpm.ts';

/** TPM_SU (Part 2, section 6.10). */
const startupTypes = { clear: 0, state: 1 } as const;

/** What firmware does first. A TPM that was started already is left as it is. */
export async function startup(tpm: Tpm, type: keyof typeof startupTypes = 'clear'): Promise<void> {
  try {
    await tpm.run('Startup', { parameters: tpmWriter().u16(startupTypes[type]).finish() });
  } catch (error) {
    if (!isRefusal(error, 'INITIALIZE')) throw error;
  }
}

/** Says that the power may go: without it the TPM counts an unorderly shutdown. */
export async function shutdown(tpm: Tpm, type: keyof typeof startupTypes = 'clear'): Promise<void> {
  await tpm.run('Shutdown', { parameters: tpmWriter().u16(startupTypes[type]).finish() });
}

export async function selfTest(tpm: Tpm, options: { readonly full: boolean }): Promise<void> {
  await tpm.run('SelfTest', {
    parameters: tpmWriter()
      .u8(options.full ? 1 : 0)
      .finish(),
  });
}

/** Forgets the owner: every key below the owner hierarchy is gone, the endorsement keys stay. */
export async function clear(
  tpm: Tpm,
  options: { readonly by?: 'lockout' | 'platform'; readonly auth?: Authorization } = {},
): Promise<void> {
  const { by = 'lockout', auth = {} } = options;
  await tpm.run('Clear', { entities: [{ handle: tpmHandle[by], auth }] });
}

/** `size` bytes of the TPM's own randomness, in as many steps as it takes. */
export async function getRandom(tpm: Tpm, size: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for (let left = size; left > 0;) {
    const parameters = tpmWriter().u16(Math.min(left, 32)).finish();
    const piece = await tpm.ask('GetRandom', { parameters }, (reader) => readSized(reader, 'random', 64));
    if (piece.length === 0 || piece.length > left) {
      throw new TpmError('protocol', `${piece.length} random bytes, asked for ${left}`);
    }
    pieces.push(piece);
    left -= piece.length;
  }
  return new Uint8Array(Buffer.concat(pieces));
}
