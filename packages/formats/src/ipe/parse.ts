/**
 * Text to policy, accepting and rejecting exactly what security/ipe/policy_parser.c and digest.c (Linux 6.12 to 7.x)
 * accept and reject, with the error number they return.
 */

import type { TextRange } from '@osguard/events';
import { FormatError } from '../bytes/index.ts';
import { IpeSyntaxError } from './error.ts';
import type {
  IpeAction,
  IpeDigest,
  IpeOperation,
  IpePolicy,
  IpeProperty,
  IpeStatement,
  IpeVersion,
} from './model.ts';
import { ipeActions, ipeDefault, ipeDigests, ipeFlags, ipeOperations } from './model.ts';
import type { Line, Token } from './text.ts';
import { cString, lines, rangeOf } from './text.ts';

/** Far above any policy one can read; the kernel itself sets no bound. Bytes. */
const maxPolicySize = 16 * 1024 * 1024;

const propertyNames = [...ipeFlags, ...ipeDigests].join(', ');

/** @throws IpeSyntaxError for the first mistake, which is the one the kernel stops at; FormatError when too large. */
export function parseIpePolicy(bytes: Uint8Array): IpePolicy {
  const { policy, errors } = readIpePolicy(bytes, { all: false });
  if (policy === undefined) throw errors[0] ?? new FormatError('malformed', 'empty policy');
  return policy;
}

export interface IpeReading {
  /** Present when the kernel would accept the text. */
  readonly policy?: IpePolicy;
  /** At most one per line, in the order of the text; the kernel stops at the first. */
  readonly errors: readonly IpeSyntaxError[];
}

export interface IpeReadOptions {
  /** Go on behind a mistake to find the others too; true unless told otherwise. */
  readonly all?: boolean;
}

/** Like parseIpePolicy, but returns every mistake instead of throwing the first. @throws FormatError when too large. */
export function readIpePolicy(bytes: Uint8Array, options: IpeReadOptions = {}): IpeReading {
  if (bytes.length > maxPolicySize) {
    throw new FormatError(
      'too-large',
      `an IPE policy of ${bytes.length} bytes; ${maxPolicySize} are accepted`,
    );
  }
  const reader = new PolicyReader();
  for (const line of lines(cString(bytes))) {
    reader.line(line);
    if (reader.errors.length > 0 && options.all === false) break;
  }
  return reader.finish();
}

class PolicyReader {
  readonly errors: IpeSyntaxError[] = [];
  readonly #statements: IpeStatement[] = [];
  #header: { name: string; version: IpeVersion; header: TextRange } | undefined;
  #headerSeen = false;

  line(line: Line): void {
    try {
      if (this.#headerSeen) {
        this.#add(parseStatement(line));
      } else {
        this.#headerSeen = true;
        this.#header = { ...parseHeader(line), header: line.range };
      }
    } catch (error) {
      if (!(error instanceof IpeSyntaxError)) throw error;
      this.errors.push(error);
    }
  }

  finish(): IpeReading {
    const top = this.#header?.header ?? rangeOf({ line: 1, column: 1, offset: 0 }, 0);
    if (!this.#headerSeen) {
      this.errors.push(
        new IpeSyntaxError('the policy is empty', top, {
          hint: 'start with: policy_name=NAME policy_version=0.0.1',
        }),
      );
    }
    if (this.errors.length > 0 || this.#header === undefined) return { errors: this.errors };
    const policy: IpePolicy = { ...this.#header, statements: this.#statements };
    if (ipeDefault(policy) !== undefined) return { policy, errors: [] };
    const without = ipeOperations.filter((op) => ipeDefault(policy, op) === undefined);
    if (without.length === 0) return { policy, errors: [] };
    const hint = 'add: DEFAULT action=DENY';
    const message = `no global DEFAULT, and none for ${without.join(', ')}`;
    return { errors: [new IpeSyntaxError(message, top, { hint })] };
  }

  #add(statement: IpeStatement & { range: TextRange }): void {
    if (statement.kind === 'default') {
      const earlier = this.#statements.find((other) => other.kind === 'default' && other.op === statement.op);
      if (earlier !== undefined) {
        const line = earlier.range?.start.line ?? 0;
        const what = statement.op === undefined ? 'the global DEFAULT' : `the DEFAULT of ${statement.op}`;
        throw new IpeSyntaxError(`${what} is already set on line ${line}`, statement.range);
      }
    }
    this.#statements.push(statement);
  }
}

function parseHeader(line: Line): { name: string; version: IpeVersion } {
  const [first, second, third] = line.tokens;
  const name = valueOf(first.text, 'policy_name=');
  if (name === undefined || name === '') {
    throw new IpeSyntaxError(`expected policy_name=NAME, found ${quote(first.text)}`, first.range, {
      hint: first.text.startsWith('\u00ef\u00bb\u00bf')
        ? 'the file starts with a UTF-8 byte order mark: remove it'
        : 'the first line is: policy_name=NAME policy_version=MAJOR.MINOR.REVISION',
    });
  }
  const versionText = second === undefined ? undefined : valueOf(second.text, 'policy_version=');
  if (second === undefined || versionText === undefined || versionText === '') {
    const found = second === undefined ? 'the end of the line' : quote(second.text);
    const range = second?.range ?? rangeOf(line.range.end, 0);
    throw new IpeSyntaxError(`expected policy_version=MAJOR.MINOR.REVISION, found ${found}`, range);
  }
  const version = parseVersion(versionText, second.range);
  if (third !== undefined) {
    throw new IpeSyntaxError(`nothing may follow the version, found ${quote(third.text)}`, third.range);
  }
  return { name, version };
}

function parseVersion(text: string, range: TextRange): IpeVersion {
  const parts = text.split('.');
  const numbers: number[] = [];
  for (const part of parts) {
    if (numbers.length === 3) break;
    numbers.push(parseVersionPart(part, range));
  }
  const [major, minor, revision] = numbers;
  if (parts.length !== 3 || major === undefined || minor === undefined || revision === undefined) {
    throw new IpeSyntaxError(`a version has three parts, found ${quote(text)}`, range, {
      hint: 'for example policy_version=1.0.0',
    });
  }
  return { major, minor, revision };
}

/** As kstrtou16(part, 10): a plus sign is allowed, a value above 64 bits is out of range before it is no number. */
function parseVersionPart(part: string, range: TextRange): number {
  const match = /^\+?(\d+)/.exec(part);
  const digits = match?.[1];
  const wide = digits === undefined ? undefined : BigInt(digits.replace(/^0+(?=\d)/, '').slice(0, 21));
  if (wide !== undefined && wide > 0xffff_ffff_ffff_ffffn) throw outOfRange(part, range);
  if (match === null || wide === undefined || match[0].length !== part.length) {
    throw new IpeSyntaxError(`${quote(part)} in the version is no decimal number`, range, {
      errno: 'EINVAL',
    });
  }
  if (wide > 0xffffn) throw outOfRange(part, range);
  return Number(wide);
}

function outOfRange(part: string, range: TextRange): IpeSyntaxError {
  return new IpeSyntaxError(`${quote(part)} in the version is above 65535`, range, { errno: 'ERANGE' });
}

function parseStatement(line: Line): IpeStatement & { range: TextRange } {
  const isDefault = line.tokens.length > 1 && line.tokens[0].text === 'DEFAULT';
  const body = line.tokens.slice(isDefault ? 1 : 0, -1);
  const last = line.tokens.at(-1) ?? line.tokens[0];
  const [opToken, ...propertyTokens] = body;
  const op = opToken === undefined ? undefined : parseOperation(opToken);
  const properties = propertyTokens.map(parseProperty);
  const action = parseAction(last);
  const { range } = line;
  if (isDefault) {
    const [extra] = propertyTokens;
    if (extra !== undefined) {
      throw new IpeSyntaxError(`a DEFAULT takes no properties, found ${quote(extra.text)}`, extra.range);
    }
    return { kind: 'default', ...(op !== undefined && { op }), action, range };
  }
  if (op === undefined) {
    throw new IpeSyntaxError('a rule starts with op=', range, {
      hint: `write DEFAULT ${last.text}, or op=EXECUTE … ${last.text}`,
    });
  }
  return { kind: 'rule', op, properties, action, range };
}

function parseOperation(token: Token): IpeOperation {
  const value = valueOf(token.text, 'op=');
  const op = ipeOperations.find((known) => known === value);
  if (op !== undefined) return op;
  const expected = value === undefined ? 'expected op=OPERATION, found' : 'unknown operation';
  const hint = `operations are ${ipeOperations.join(', ')}`;
  throw new IpeSyntaxError(`${expected} ${quote(token.text)}`, token.range, { hint });
}

function parseAction(token: Token): IpeAction {
  const value = valueOf(token.text, 'action=');
  const action = ipeActions.find((known) => known === value);
  if (action !== undefined) return action;
  const message = `a statement ends with action=ALLOW or action=DENY, found ${quote(token.text)}`;
  throw new IpeSyntaxError(message, token.range);
}

function parseProperty(token: Token): IpeProperty {
  for (const name of ipeFlags) {
    const value = valueOf(token.text, `${name}=`);
    if (value === 'TRUE' || value === 'FALSE') return { name, value: value === 'TRUE' };
    if (value !== undefined) {
      throw new IpeSyntaxError(`${name} is TRUE or FALSE, found ${quote(value)}`, token.range);
    }
  }
  for (const name of ipeDigests) {
    const value = valueOf(token.text, `${name}=`);
    if (value !== undefined && value !== '') return { name, digest: parseDigest(value, token.range) };
  }
  const hint = `properties are ${propertyNames}`;
  throw new IpeSyntaxError(`unknown property ${quote(token.text)}`, token.range, { hint });
}

function parseDigest(text: string, range: TextRange): IpeDigest {
  const colon = text.indexOf(':');
  if (colon === -1) {
    const hint = 'for example sha256:0123…';
    throw new IpeSyntaxError(`a digest is ALGORITHM:HEX, found ${quote(text)}`, range, { hint });
  }
  const hex = text.slice(colon + 1);
  if (hex.length % 2 !== 0 || /[^0-9a-fA-F]/.test(hex)) {
    const message = `${quote(hex)} is not an even number of hexadecimal digits`;
    throw new IpeSyntaxError(message, range, { errno: 'EINVAL' });
  }
  return { algorithm: text.slice(0, colon), hex: hex.toLowerCase() };
}

function valueOf(text: string, prefix: string): string | undefined {
  return text.startsWith(prefix) ? text.slice(prefix.length) : undefined;
}

function quote(text: string): string {
  const short = text.length > 60 ? `${text.slice(0, 57)}…` : text;
  return JSON.stringify(short);
}
