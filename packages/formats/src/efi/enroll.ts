/** Secure Boot with one's own keys: the variables that take a blank OVMF store out of setup mode. */

import { FormatError } from '../bytes/index.ts';
import {
  attributes,
  customModeGuid,
  keyVariableAttributes,
  keyVariables,
  secureBootEnableGuid,
} from './guids.ts';
import type { KeyVariable } from './guids.ts';
import { certificateLists, digestLists, encodeSignatureLists } from './signature-list.ts';
import { encodeEfiTime } from './time.ts';
import { setVariables } from './variable-store.ts';
import type { StoredVariable } from './variable-store.ts';

export interface SecureBootKeys {
  /** One certificate, DER. */
  readonly pk: Uint8Array;
  readonly kek: readonly Uint8Array[];
  readonly db: readonly Uint8Array[];
  /** SHA-256 Authenticode digests of images that must not run. */
  readonly dbx?: readonly Uint8Array[];
  /** GUID that marks the entries as ours. */
  readonly owner: string;
  /** Milliseconds since 1970; signed updates must be later. */
  readonly timestamp: number;
}

/** The content of one key variable. */
export function keyVariableContent(keys: SecureBootKeys): Readonly<Record<KeyVariable, Uint8Array>> {
  const { owner } = keys;
  return {
    PK: encodeSignatureLists(certificateLists(owner, [keys.pk])),
    KEK: encodeSignatureLists(certificateLists(owner, keys.kek)),
    db: encodeSignatureLists(certificateLists(owner, keys.db)),
    dbx: encodeSignatureLists(digestLists(owner, keys.dbx ?? [])),
  };
}

/**
 * A copy of the store with PK, KEK, db and dbx replaced by these keys, Secure Boot on and custom mode off.
 * An empty dbx is no variable.
 */
export function enrollSecureBoot(fd: Uint8Array, keys: SecureBootKeys): Uint8Array<ArrayBuffer> {
  if (keys.kek.length === 0 || keys.db.length === 0) {
    throw new FormatError('not-encodable', 'Secure Boot keys: KEK and db need at least one certificate');
  }
  const time = encodeEfiTime(keys.timestamp);
  const content = keyVariableContent(keys);
  const updates: StoredVariable[] = [];
  for (const name of ['PK', 'KEK', 'db', 'dbx'] as const) {
    const data = content[name];
    if (data.length === 0) continue;
    updates.push({ name, vendor: keyVariables[name], attributes: keyVariableAttributes, time, data });
  }
  const local = attributes.nonVolatile | attributes.bootService;
  const none = new Uint8Array(16);
  updates.push(
    {
      name: 'SecureBootEnable',
      vendor: secureBootEnableGuid,
      attributes: local,
      time: none,
      data: Uint8Array.of(1),
    },
    { name: 'CustomMode', vendor: customModeGuid, attributes: local, time: none, data: Uint8Array.of(0) },
  );
  return setVariables(fd, updates);
}
