/**
 * What the kernel decides for one event, and by which statement: security/ipe/eval.c. Rules of the operation are
 * tried from top to bottom, the first whose properties all hold decides; else the operation's DEFAULT, else the global.
 */

import { formatIpeProperty, formatIpeStatement } from './encode.ts';
import type {
  IpeAction,
  IpeDigest,
  IpeOperation,
  IpePolicy,
  IpeProperty,
  IpeRule,
  IpeStatement,
} from './model.ts';
import { ipeDefault, ipeRules } from './model.ts';

/** The file (or buffer, or anonymous memory: everything absent) an operation is about. */
export interface IpeSubject {
  readonly op: IpeOperation;
  /** The file lies in the initramfs the kernel was booted with. */
  readonly bootVerified?: boolean;
  /** Present when the file's file system lies on a dm-verity device. */
  readonly dmVerity?: {
    readonly rootHash?: IpeDigest;
    /** The kernel verified a signature of the root hash when the device was set up. */
    readonly signed: boolean;
  };
  /** Present when fs-verity is enabled for the file. */
  readonly fsVerity?: {
    readonly digest?: IpeDigest;
    /** The kernel verified fs-verity's built-in signature. */
    readonly signed: boolean;
  };
}

export interface IpeRuleTrial {
  readonly rule: IpeRule;
  readonly matched: boolean;
  /** Why it did or did not match, for people. */
  readonly reason: string;
}

export interface IpeDecision {
  readonly action: IpeAction;
  /** The statement that decided. */
  readonly by: IpeStatement;
  /** Every rule that was tried, in order; the last one matched unless a DEFAULT decided. */
  readonly tried: readonly IpeRuleTrial[];
  /** One sentence. */
  readonly explanation: string;
}

export function evaluateIpePolicy(policy: IpePolicy, subject: IpeSubject): IpeDecision {
  const tried: IpeRuleTrial[] = [];
  for (const rule of ipeRules(policy, subject.op)) {
    const failed = rule.properties.find((property) => !holds(property, subject));
    const matched = failed === undefined;
    tried.push({ rule, matched, reason: matched ? whyMatched(rule) : whyNot(failed, subject) });
    if (matched) return decided(rule, tried, subject);
  }
  const by = ipeDefault(policy, subject.op) ?? ipeDefault(policy);
  // A parsed policy always has one of the two; for a made one, the kernel's answer to "no default" is to allow.
  return decided(by ?? { kind: 'default', action: 'ALLOW' }, tried, subject);
}

function decided(by: IpeStatement, tried: readonly IpeRuleTrial[], subject: IpeSubject): IpeDecision {
  const verb = by.action === 'ALLOW' ? 'allowed' : 'denied';
  const where = by.range === undefined ? '' : ` (line ${by.range.start.line})`;
  const how =
    by.kind === 'rule'
      ? `the rule \`${formatIpeStatement(by)}\`${where}`
      : `\`${formatIpeStatement(by)}\`${where}, because none of ${tried.length} rules for it matched`;
  return { action: by.action, by, tried, explanation: `${subject.op} is ${verb} by ${how}` };
}

function holds(property: IpeProperty, subject: IpeSubject): boolean {
  switch (property.name) {
    case 'boot_verified':
      return (subject.bootVerified ?? false) === property.value;
    case 'dmverity_signature':
      return (subject.dmVerity?.signed ?? false) === property.value;
    case 'fsverity_signature':
      return (subject.fsVerity?.signed ?? false) === property.value;
    case 'dmverity_roothash':
      return sameDigest(property.digest, subject.dmVerity?.rootHash);
    default:
      return sameDigest(property.digest, subject.fsVerity?.digest);
  }
}

function sameDigest(expected: IpeDigest, found: IpeDigest | undefined): boolean {
  if (found === undefined) return false;
  return expected.algorithm === found.algorithm && expected.hex === found.hex.toLowerCase();
}

function whyMatched(rule: IpeRule): string {
  if (rule.properties.length === 0) return `it applies to every ${rule.op}`;
  return `${rule.properties.map(formatIpeProperty).join(' and ')} hold${rule.properties.length === 1 ? 's' : ''}`;
}

function whyNot(property: IpeProperty, subject: IpeSubject): string {
  switch (property.name) {
    case 'boot_verified':
      return property.value ? 'it is not from the initramfs' : 'it is from the initramfs';
    case 'dmverity_signature':
      if (!property.value) return 'its dm-verity device has a verified signature';
      return subject.dmVerity === undefined
        ? 'it is not on a dm-verity device'
        : 'its dm-verity device was set up without a verified signature';
    case 'fsverity_signature':
      if (!property.value) return 'it has a verified fs-verity signature';
      return subject.fsVerity === undefined
        ? 'fs-verity is not enabled for it'
        : 'it has no verified fs-verity signature';
    case 'dmverity_roothash':
      return digestDiffers('root hash', property.digest, subject.dmVerity?.rootHash);
    default:
      return digestDiffers('fs-verity digest', property.digest, subject.fsVerity?.digest);
  }
}

function digestDiffers(what: string, expected: IpeDigest, found: IpeDigest | undefined): string {
  if (found === undefined) return `it has no ${what}`;
  return `its ${what} is ${found.algorithm}:${found.hex}, not ${expected.algorithm}:${expected.hex}`;
}
