/** What zod found wrong, said in the words of the person who wrote the definition. */

import type { Diagnostic } from '@osguard/events';
import leven from 'leven';
import type { z } from 'zod';

import type { Located, Path } from './document.ts';

type Issue = z.core.$ZodIssue;

/** The part of JSON Schema that is needed to know which keys and values a place accepts. */
export interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly [key: string]: unknown;
}

export interface ExplainOptions {
  readonly located: Located;
  readonly schema: SchemaNode;
  readonly file: string | undefined;
}

export function explainIssue(issue: Issue, options: ExplainOptions): Diagnostic[] {
  const path = issue.path.filter((step) => typeof step !== 'symbol');
  const { located, schema, file } = options;
  const say = (
    finding: Pick<Diagnostic, 'code' | 'message' | 'hint'>,
    at: Path,
    part: 'key' | 'value',
  ): Diagnostic => ({
    severity: 'error',
    ...finding,
    ...(file !== undefined && { file }),
    range: located.range(at, part),
  });

  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(schemaAt(schema, path)?.properties ?? {});
    return issue.keys.map((key) =>
      say(
        { code: 'unknown-key', message: `unknown key ${quote(key)}${inside(path)}`, ...guess(key, known) },
        [...path, key],
        'key',
      ),
    );
  }
  if (issue.code === 'invalid_key') {
    const message = issue.issues.map(({ message: text }) => text).join(', ');
    return [say({ code: 'bad-key', message: `${quote(String(path.at(-1)))} ${message}` }, path, 'key')];
  }
  const found = valueAt(located.value, path);
  if (found === undefined && (issue.code === 'invalid_type' || issue.code === 'invalid_value')) {
    const example =
      issue.code === 'invalid_value' ? { hint: `write ${name(path)}: ${issue.values.join(' or ')}` } : {};
    return [
      say(
        {
          code: 'missing-key',
          message: `${quote(name(path))} is missing${inside(path.slice(0, -1))}`,
          ...example,
        },
        path,
        'key',
      ),
    ];
  }
  if (issue.code === 'invalid_value') {
    const values = issue.values.map(String);
    const message = `${name(path)} cannot be ${show(found)}; it is one of ${values.join(', ')}`;
    return [say({ code: 'bad-value', message, ...guess(String(found), values) }, path, 'value')];
  }
  if (issue.code === 'invalid_type') {
    const message = `${name(path)} must be ${article(issue.expected)}, found ${show(found)}`;
    const quoted = issue.expected === 'string' && (typeof found === 'number' || typeof found === 'boolean');
    return [
      say(
        {
          code: 'wrong-type',
          message,
          ...(quoted && { hint: `write it in quotes: "${located.source(path)}"` }),
        },
        path,
        'value',
      ),
    ];
  }
  if (issue.code === 'custom') {
    const message = issue.message.startsWith('must') ? `${name(path)} ${issue.message}` : issue.message;
    return [say({ code: 'refused', message }, path, 'value')];
  }
  if (issue.code === 'too_big' || issue.code === 'too_small')
    return [say({ code: 'out-of-bounds', message: bound(issue, path) }, path, 'value')];
  const verb = issue.message.startsWith('must') ? '' : 'is not valid: ';
  return [
    say(
      { code: 'bad-value', message: `${name(path)} ${verb}${issue.message}, found ${show(found)}` },
      path,
      'value',
    ),
  ];
}

function bound(issue: Extract<Issue, { code: 'too_big' | 'too_small' }>, path: Path): string {
  const limit = issue.code === 'too_big' ? `at most ${issue.maximum}` : `at least ${issue.minimum}`;
  if (issue.origin === 'string') return `${name(path)} must have ${limit} characters`;
  if (issue.origin === 'array') return `${name(path)} must have ${limit} entries`;
  return `${name(path)} must be ${limit}`;
}

function guess(word: string, known: readonly string[]): { readonly hint?: string } {
  const near = known
    .map((candidate) => ({
      candidate,
      distance: leven(word.slice(0, 60).toLowerCase(), candidate.toLowerCase()),
    }))
    .sort((a, b) => a.distance - b.distance)[0];
  if (near !== undefined && near.distance <= Math.max(2, Math.floor(near.candidate.length / 3))) {
    return { hint: `did you mean ${quote(near.candidate)}?` };
  }
  return known.length === 0 || known.length > 12 ? {} : { hint: `known here: ${known.join(', ')}` };
}

function schemaAt(schema: SchemaNode, path: Path): SchemaNode | undefined {
  let node: SchemaNode | undefined = schema;
  for (const step of path) node = typeof step === 'number' ? node?.items : node?.properties?.[step];
  return node;
}

function valueAt(value: unknown, path: Path): unknown {
  let at: unknown = value;
  for (const step of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return undefined;
    at = Object.entries(at).find(([key]) => key === String(step))?.[1];
  }
  return at;
}

/** `files[2].mode`, `the definition` at the top. */
export function name(path: Path): string {
  if (path.length === 0) return 'the definition';
  return path
    .map((step, index) => (typeof step === 'number' ? `[${step}]` : `${index === 0 ? '' : '.'}${step}`))
    .join('');
}

function inside(path: Path): string {
  return path.length === 0 ? '' : ` in ${name(path)}`;
}

function quote(text: string): string {
  return `\`${printable(text, 60)}\``;
}

function show(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  if (typeof value === 'string') return quote(value);
  return `${typeof value === 'number' ? 'the number' : 'the value'} ${JSON.stringify(value)}`;
}

function printable(text: string, most: number): string {
  const clean = text.replaceAll(/\p{C}/gu, '\u{fffd}');
  return clean.length > most ? `${clean.slice(0, most)}…` : clean;
}

function article(type: string): string {
  const words: Readonly<Record<string, string>> = {
    string: 'text',
    object: 'a mapping',
    record: 'a mapping',
    array: 'a list',
    int: 'an integer',
    number: 'a number',
    boolean: 'true or false',
  };
  return words[type] ?? type;
}
