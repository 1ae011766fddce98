/** TPMA_OBJECT: what a key may do (TPM 2.0 Library Part 2, section 8.3). */

import { FormatError } from '../bytes/index.ts';

export interface ObjectAttributes {
  readonly fixedTPM: boolean;
  readonly stClear: boolean;
  readonly fixedParent: boolean;
  readonly sensitiveDataOrigin: boolean;
  readonly userWithAuth: boolean;
  readonly adminWithPolicy: boolean;
  readonly firmwareLimited: boolean;
  readonly svnLimited: boolean;
  readonly noDA: boolean;
  readonly encryptedDuplication: boolean;
  readonly restricted: boolean;
  readonly decrypt: boolean;
  readonly sign: boolean;
  readonly x509sign: boolean;
}

export type ObjectAttribute = keyof ObjectAttributes;

/** Bit numbers, ascending. */
const bits: readonly (readonly [ObjectAttribute, number])[] = [
  ['fixedTPM', 1],
  ['stClear', 2],
  ['fixedParent', 4],
  ['sensitiveDataOrigin', 5],
  ['userWithAuth', 6],
  ['adminWithPolicy', 7],
  ['firmwareLimited', 8],
  ['svnLimited', 9],
  ['noDA', 10],
  ['encryptedDuplication', 11],
  ['restricted', 16],
  ['decrypt', 17],
  ['sign', 18],
  ['x509sign', 19],
];
const known = bits.reduce((mask, [, bit]) => mask | (1 << bit), 0);

/** The record with exactly these attributes set. */
export function objectAttributes(...set: readonly ObjectAttribute[]): ObjectAttributes {
  return {
    fixedTPM: set.includes('fixedTPM'),
    stClear: set.includes('stClear'),
    fixedParent: set.includes('fixedParent'),
    sensitiveDataOrigin: set.includes('sensitiveDataOrigin'),
    userWithAuth: set.includes('userWithAuth'),
    adminWithPolicy: set.includes('adminWithPolicy'),
    firmwareLimited: set.includes('firmwareLimited'),
    svnLimited: set.includes('svnLimited'),
    noDA: set.includes('noDA'),
    encryptedDuplication: set.includes('encryptedDuplication'),
    restricted: set.includes('restricted'),
    decrypt: set.includes('decrypt'),
    sign: set.includes('sign'),
    x509sign: set.includes('x509sign'),
  };
}

/** @throws FormatError (`malformed`) when a reserved bit is set. */
export function parseObjectAttributes(value: number, offset = 0): ObjectAttributes {
  if ((value & ~known) !== 0) {
    throw new FormatError('malformed', `reserved object attributes in 0x${value.toString(16)}`, { offset });
  }
  return objectAttributes(...bits.filter(([, bit]) => (value & (1 << bit)) !== 0).map(([name]) => name));
}

/** The 32-bit value. */
export function encodeObjectAttributes(attributes: ObjectAttributes): number {
  return bits.reduce((value, [name, bit]) => (attributes[name] ? value | (1 << bit) : value), 0) >>> 0;
}

/** The names of the attributes that are set, in the order of their bits. */
export function attributeNames(attributes: ObjectAttributes): ObjectAttribute[] {
  return bits.map(([name]) => name).filter((name) => attributes[name]);
}
