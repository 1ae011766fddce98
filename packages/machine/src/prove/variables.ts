/** The firmware's variables for a release: its keys enrolled, Secure Boot on. */

import { readFileSync } from 'node:fs';
import type { ReleaseFolder } from '@osguard/image';
import type { Keyring } from '@osguard/keys';
import { makeVariableStore } from '@osguard/keys';
import type { Tools } from '../tools/open.ts';
import { firmwareVariables } from '../tools/table.ts';

/** @param keyring certificates are enough @throws KeysError when one that has to be enrolled is not there */
export function enrolledVariables(
  keyring: Keyring,
  { tools, release }: { readonly tools: Tools; readonly release: Pick<ReleaseFolder, 'databaseRoles'> },
): Uint8Array {
  const blank = readFileSync(tools.file(firmwareVariables));
  return makeVariableStore(blank, keyring, { db: release.databaseRoles });
}
