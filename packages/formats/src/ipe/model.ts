/**
 * The IPE policy language as objects. Follows security/ipe/policy.h and policy_parser.c of Linux 6.12 to 7.x;
 * the tables of operations and properties are those of these kernels, in their order.
 */

import type { TextRange } from '@osguard/events';

export const ipeOperations = [
  'EXECUTE',
  'FIRMWARE',
  'KMODULE',
  'KEXEC_IMAGE',
  'KEXEC_INITRAMFS',
  'POLICY',
  'X509_CERT',
] as const;
export type IpeOperation = (typeof ipeOperations)[number];

export const ipeActions = ['ALLOW', 'DENY'] as const;
export type IpeAction = (typeof ipeActions)[number];

/** Properties that are TRUE or FALSE. */
export const ipeFlags = ['boot_verified', 'dmverity_signature', 'fsverity_signature'] as const;
export type IpeFlag = (typeof ipeFlags)[number];

/** Properties that name one digest, as `algorithm:hex`. */
export const ipeDigests = ['dmverity_roothash', 'fsverity_digest'] as const;
export type IpeDigestName = (typeof ipeDigests)[number];

export interface IpeFlagProperty {
  readonly name: IpeFlag;
  readonly value: boolean;
}

export interface IpeDigestProperty {
  readonly name: IpeDigestName;
  readonly digest: IpeDigest;
}

export type IpeProperty = IpeFlagProperty | IpeDigestProperty;

export interface IpeDigest {
  /** The kernel compares this name byte by byte with its own, for example `sha256`. */
  readonly algorithm: string;
  /** Lower-case hex of any length, even none: the kernel does not check it against the algorithm. */
  readonly hex: string;
}

/** Each part is 0 to 65535. */
export interface IpeVersion {
  readonly major: number;
  readonly minor: number;
  readonly revision: number;
}

/** `DEFAULT [op=…] action=…`; without `op` it is the default of every operation that has none of its own. */
export interface IpeDefault {
  readonly kind: 'default';
  readonly op?: IpeOperation;
  readonly action: IpeAction;
  /** Where it stands; absent in a policy that was made, not parsed. Columns and offsets are bytes. */
  readonly range?: TextRange;
}

/** `op=… [property…] action=…`; it applies when all its properties hold. */
export interface IpeRule {
  readonly kind: 'rule';
  readonly op: IpeOperation;
  readonly properties: readonly IpeProperty[];
  readonly action: IpeAction;
  readonly range?: TextRange;
}

export type IpeStatement = IpeDefault | IpeRule;

export interface IpePolicy {
  /** One character per byte (Latin-1): the kernel gives these bytes no meaning beyond being a file name. */
  readonly name: string;
  readonly version: IpeVersion;
  /** In the order of the text; rules of one operation are tried in this order. */
  readonly statements: readonly IpeStatement[];
  readonly header?: TextRange;
}

export function isIpeDigestProperty(property: IpeProperty): property is IpeDigestProperty {
  return 'digest' in property;
}

export function ipeRules(policy: IpePolicy, op: IpeOperation): readonly IpeRule[] {
  return policy.statements.filter(
    (statement): statement is IpeRule => statement.kind === 'rule' && statement.op === op,
  );
}

/** The DEFAULT of this operation, or without `op` the global one. */
export function ipeDefault(policy: IpePolicy, op?: IpeOperation): IpeDefault | undefined {
  return policy.statements.find(
    (statement): statement is IpeDefault => statement.kind === 'default' && statement.op === op,
  );
}
