/** Names: how a TPM refers to an entity so that nobody can swap it (TPM 2.0 Library Part 1, section 16). */

import { digestWith, hashIds } from './algorithms.ts';
import type { TpmHash } from './algorithms.ts';
import { encodePublicArea } from './public-area.ts';
import type { TpmPublic } from './public-area.ts';
import { tpmWriter } from './wire.ts';

/** Name of an object: nameAlg (2 bytes, big-endian) ‖ digest of its TPMT_PUBLIC. Computed here, never taken as told. */
export function publicAreaName(area: TpmPublic): Uint8Array {
  return digestName(area.nameAlg, digestWith(area.nameAlg, encodePublicArea(area)));
}

/** Name of a PCR, a session or a permanent handle: the handle itself, 4 bytes. */
export function handleName(handle: number): Uint8Array {
  return tpmWriter().u32(handle).finish();
}

/** Name of a key below another: nameAlg ‖ H(qualified name of the parent ‖ name of the key) (Part 1, section 16). */
export function qualifiedName(parent: Uint8Array, area: TpmPublic): Uint8Array {
  return digestName(area.nameAlg, digestWith(area.nameAlg, parent, publicAreaName(area)));
}

function digestName(hash: TpmHash, digest: Uint8Array): Uint8Array {
  return tpmWriter().u16(hashIds[hash]).bytes(digest).finish();
}
