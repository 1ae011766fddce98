/** What the kernel accepts but its author hardly meant. Every finding has a stable code and a range. */

import type { Diagnostic, TextRange } from '@osguard/events';
import { formatIpeProperty, formatIpeStatement, formatIpeVersion } from './encode.ts';
import type { IpeSyntaxError } from './error.ts';
import type { IpeDigest, IpePolicy, IpeProperty, IpeRule } from './model.ts';
import { ipeDefault, ipeOperations, ipeRules, isIpeDigestProperty } from './model.ts';
import { readIpePolicy } from './parse.ts';
import { judgeIpeUpdate } from './update.ts';

export interface IpeLintOptions {
  /** The policy that is loaded on the machines now: the new one has to be a newer version of it. */
  readonly previous?: IpePolicy;
}

export interface IpeCheck {
  readonly policy?: IpePolicy;
  /** Errors the kernel would refuse the policy for, then warnings. */
  readonly diagnostics: readonly Diagnostic[];
}

/** Digest sizes the kernel can produce for these names. Hex digits. */
const hexDigits: ReadonlyMap<string, number> = new Map([
  ['sha1', 40],
  ['sha224', 56],
  ['sha256', 64],
  ['sha384', 96],
  ['sha512', 128],
]);

/** Parse and lint in one: all mistakes at once. @throws FormatError when the text is too large to be a policy. */
export function checkIpePolicy(bytes: Uint8Array, options: IpeLintOptions = {}): IpeCheck {
  const { policy, errors } = readIpePolicy(bytes);
  const diagnostics: Diagnostic[] = [];
  for (const error of errors) diagnostics.push(refusal(error));
  if (bytes.includes(0)) {
    const nul = bytes.indexOf(0);
    const message = `the kernel ignores everything from the NUL at byte ${nul} on`;
    diagnostics.push({ severity: 'warning', code: 'text-after-nul', message });
  }
  if (policy === undefined) return { diagnostics };
  return { policy, diagnostics: [...diagnostics, ...lintIpePolicy(policy, options)] };
}

function refusal(error: IpeSyntaxError): Diagnostic {
  return {
    severity: 'error',
    code: `kernel-${error.errno.toLowerCase()}`,
    message: error.detail,
    range: error.range,
    ...(error.hint !== undefined && { hint: error.hint }),
  };
}

export function lintIpePolicy(policy: IpePolicy, options: IpeLintOptions = {}): readonly Diagnostic[] {
  return [
    ...lintHeader(policy, options),
    ...lintDefaults(policy),
    ...ipeOperations.flatMap((op) => [...lintRules(ipeRules(policy, op))]),
    ...lintReach(policy),
  ];
}

function* lintHeader(policy: IpePolicy, { previous }: IpeLintOptions): Generator<Diagnostic> {
  // The name becomes a folder in securityfs.
  if (policy.name.includes('/') || policy.name === '.' || policy.name === '..' || policy.name.length > 255) {
    const message = `${policy.name} cannot be the name of a folder, so the kernel cannot load this policy`;
    yield { severity: 'error', code: 'policy-name', message, ...at(policy.header) };
  }
  if (previous === undefined) return;
  const verdict = judgeIpeUpdate(previous, policy);
  if (verdict.accepted) return;
  const renamed = verdict.errno === 'EINVAL';
  const { major, minor, revision } = previous.version;
  yield {
    severity: 'error',
    code: renamed ? 'name-changed' : 'version-not-raised',
    message: `${verdict.reason}: the kernel refuses the update (${verdict.errno})`,
    hint: renamed
      ? `policy_name=${previous.name}`
      : `policy_version=${formatIpeVersion({ major, minor, revision: revision + 1 })}`,
    ...at(policy.header),
  };
}

function* lintDefaults(policy: IpePolicy): Generator<Diagnostic> {
  const globalDefault = ipeDefault(policy);
  if (globalDefault === undefined) {
    yield {
      severity: 'info',
      code: 'no-global-default',
      message: 'a kernel that knows one more operation will refuse this policy: it has no global DEFAULT',
      hint: 'DEFAULT action=DENY',
      ...at(policy.header),
    };
  }
  for (const op of ipeOperations) {
    const decides = ipeDefault(policy, op) ?? globalDefault;
    if (decides?.action !== 'ALLOW') continue;
    yield {
      severity: 'warning',
      code: op === 'EXECUTE' ? 'execute-allowed-by-default' : 'allowed-by-default',
      message:
        op === 'EXECUTE'
          ? 'what no rule denies may execute: anonymous memory and every file of every volume'
          : `${op} is allowed for everything no rule denies`,
      hint: `DEFAULT op=${op} action=DENY`,
      ...at(decides.range),
    };
  }
}

function* lintRules(rules: readonly IpeRule[]): Generator<Diagnostic> {
  for (const [index, rule] of rules.entries()) {
    yield* lintProperties(rule);
    const covering = rules.slice(0, index).find((earlier) => covers(earlier, rule));
    if (covering !== undefined) yield unreachable(rule, covering);
    if (rule.action === 'ALLOW') yield* lintAllow(rule);
  }
}

function unreachable(rule: IpeRule, covering: IpeRule): Diagnostic {
  const same = formatIpeStatement(rule) === formatIpeStatement(covering);
  const where = covering.range === undefined ? '' : ` on line ${covering.range.start.line}`;
  return {
    severity: 'warning',
    code: same ? 'duplicate-rule' : 'unreachable-rule',
    message: same
      ? `the same rule stands${where} already`
      : `never reached: \`${formatIpeStatement(covering)}\`${where} decides first`,
    ...at(rule.range),
  };
}

function* lintAllow(rule: IpeRule): Generator<Diagnostic> {
  if (rule.properties.length === 0) {
    const message = `allows every ${rule.op}, whatever file it is`;
    yield { severity: 'warning', code: 'unconditional-allow', message, ...at(rule.range) };
    return;
  }
  const onlyAbsence = rule.properties.every((property) => !isIpeDigestProperty(property) && !property.value);
  if (!onlyAbsence) return;
  const message = 'allows what lacks a protection: anonymous memory and unsigned files match it';
  yield { severity: 'warning', code: 'allows-unprotected', message, ...at(rule.range) };
}

function* lintProperties(rule: IpeRule): Generator<Diagnostic> {
  const seen = new Map<string, string>();
  for (const property of rule.properties) {
    const text = formatIpeProperty(property);
    const earlier = seen.get(property.name);
    if (earlier === text) {
      const message = `${text} is written twice`;
      yield { severity: 'info', code: 'duplicate-property', message, ...at(rule.range) };
    } else if (earlier !== undefined) {
      const message = `never matches: ${earlier} and ${text} exclude each other`;
      yield { severity: 'warning', code: 'never-matches', message, ...at(rule.range) };
    }
    seen.set(property.name, text);
    const wrong = isIpeDigestProperty(property) ? wrongDigest(property.digest) : undefined;
    if (wrong !== undefined) {
      const message = `never matches: ${wrong}`;
      yield { severity: 'warning', code: 'never-matches', message, ...at(rule.range) };
    }
  }
}

/** The kernel takes any name and any length, and then finds no device that has such a digest. */
function wrongDigest({ algorithm, hex }: IpeDigest): string | undefined {
  const expected = hexDigits.get(algorithm);
  if (expected !== undefined) {
    if (hex.length === expected) return undefined;
    return `a ${algorithm} digest has ${expected} hexadecimal digits, this one ${hex.length}`;
  }
  const lower = algorithm.toLowerCase().replaceAll('-', '');
  if (hexDigits.has(lower)) return `the kernel calls the algorithm ${lower}, not ${algorithm}`;
  return hex === '' ? 'the digest is empty' : undefined;
}

function* lintReach(policy: IpePolicy): Generator<Diagnostic> {
  const decides = ipeDefault(policy, 'EXECUTE') ?? ipeDefault(policy);
  const rules = ipeRules(policy, 'EXECUTE');
  if (decides?.action === 'ALLOW' || rules.some((rule) => rule.action === 'ALLOW')) return;
  yield {
    severity: 'warning',
    code: 'nothing-may-execute',
    message: 'no rule allows EXECUTE: the machine stops at the first program after this policy is active',
    hint: 'op=EXECUTE boot_verified=TRUE action=ALLOW',
    ...at(decides?.range ?? policy.header),
  };
}

/** True when every event that matches `later` matches `earlier` too. */
function covers(earlier: IpeRule, later: IpeRule): boolean {
  const has = new Set(later.properties.map(formatIpeProperty));
  return earlier.properties.every((property: IpeProperty) => has.has(formatIpeProperty(property)));
}

function at(range: TextRange | undefined): { range?: TextRange } {
  return range === undefined ? {} : { range };
}
