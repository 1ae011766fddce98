/** The firmware's view of the keys: an enrolled variable store, and signed updates of its key variables. */

import {
  enrollSecureBoot,
  keyVariableAttributes,
  keyVariables,
  planAuthenticatedVariable,
  variableAttributes,
} from '@osguard/formats/efi';
import type { KeyVariable, SecureBootKeys } from '@osguard/formats/efi';
import type { Keyring } from './keyring.ts';
import { assertRole } from './roles.ts';
import type { KeyRole } from './roles.ts';
import { completePlan } from './signer.ts';
import type { Signer } from './signer.ts';

/** Marks entries as made by osguard; UEFI asks for a GUID per agent and gives it no meaning. */
export const signatureOwner = '3e4a7f5c-5d0b-4c64-9a53-0d6b1f1c8a27';

export interface MakeVariableStoreOptions {
  /**
   * Roles whose certificates db holds. `boot` alone unless told otherwise; kernel 6.12 needs usr and layers
   * there as well, and then their keys can sign boot images too.
   */
  readonly db?: readonly ('boot' | 'usr' | 'layers')[];
  /** SHA-256 Authenticode digests that must not run. */
  readonly dbx?: readonly Uint8Array[];
  /** Milliseconds since 1970; later signed updates must be later. 2000-01-01 unless told otherwise. */
  readonly timestamp?: number;
}

/** What PK, KEK, db and dbx hold on a machine for this keyring. @throws KeysError `missing` */
export function secureBootKeys(keyring: Keyring, options: MakeVariableStoreOptions = {}): SecureBootKeys {
  const { db = ['boot'], dbx = [], timestamp = Date.UTC(2000, 0, 1) } = options;
  // Every role must be there: a db that lacks one would refuse what that role signs.
  for (const role of db) keyring.certificate(role);
  return {
    pk: keyring.certificate('platform').der,
    kek: keyring.certificates('exchange').map(({ der }) => der),
    db: db.flatMap((role) => keyring.certificates(role).map(({ der }) => der)),
    dbx,
    owner: signatureOwner,
    timestamp,
  };
}

/** A copy of a blank OVMF_VARS image with our keys enrolled and Secure Boot on. @throws KeysError, FormatError */
export function makeVariableStore(
  blank: Uint8Array,
  keyring: Keyring,
  options: MakeVariableStoreOptions = {},
): Uint8Array<ArrayBuffer> {
  return enrollSecureBoot(blank, secureBootKeys(keyring, options));
}

export interface VariableUpdateRequest {
  readonly variable: KeyVariable;
  /** Signature lists, encoded. */
  readonly content: Uint8Array;
  /** Milliseconds since 1970, whole seconds. */
  readonly timestamp: number;
  /** Adds to what is there instead of replacing it. */
  readonly append?: boolean;
}

const updater: Readonly<Record<KeyVariable, KeyRole>> = {
  PK: 'platform',
  KEK: 'platform',
  db: 'exchange',
  dbx: 'exchange',
};

/** An `.auth` file. @throws KeysError unless the role is platform (PK, KEK) or exchange (db, dbx). */
export async function signVariableUpdate(
  signer: Signer,
  request: VariableUpdateRequest,
): Promise<Uint8Array<ArrayBuffer>> {
  const { variable, content, timestamp, append = false } = request;
  assertRole(signer, { roles: [updater[variable]], what: `an update of ${variable}` });
  const update = {
    name: variable,
    vendor: keyVariables[variable],
    attributes: keyVariableAttributes | (append ? variableAttributes.append : 0),
    timestamp,
    content,
  };
  return completePlan(signer, planAuthenticatedVariable(update, signer.certificate));
}
