/**
 * YAML text to a plain value plus the place of every node in it. Definitions and policies are hostile input: one document, bounded
 * size and depth, no anchors, aliases, tags or merge keys (so nothing can multiply), JSON types only.
 */

import type { Diagnostic, TextRange } from '@osguard/events';
import { isAlias, isMap, isNode, isPair, isScalar, isSeq, LineCounter, parseDocument, visit } from 'yaml';
import type { Document, Node, Pair } from 'yaml';

/** UTF-16 units. */
export const largestDefinition: number = 512 * 1024;
const deepest = 32;

export type Path = readonly (string | number)[];

export interface Located {
  readonly value: unknown;
  /** The place of the node at `path`, or of its nearest parent that exists. `key` gives the key instead of the value. */
  range(path: Path, part?: 'key' | 'value'): TextRange;
  /** What stands there, as written. */
  source(path: Path): string;
}

export interface ReadDocument {
  readonly located?: Located;
  readonly diagnostics: readonly Diagnostic[];
}

/** @param options.noun what the text is, for messages: `definition` unless told otherwise. */
export function readDocument(
  text: string,
  file: string | undefined,
  { noun = 'definition' }: { readonly noun?: string } = {},
): ReadDocument {
  const diagnostics: Diagnostic[] = [];
  const lines = new LineCounter();
  const place = (offset: number): TextRange['start'] => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1), offset };
  };
  const rangeOf = (start: number, end: number): TextRange => ({
    start: place(start),
    end: place(Math.max(start, end)),
  });
  const report = (code: string, message: string, range?: TextRange, hint?: string): void => {
    diagnostics.push({
      severity: 'error',
      code,
      message,
      ...(hint !== undefined && { hint }),
      ...(file !== undefined && { file }),
      ...(range !== undefined && { range }),
    });
  };

  if (text.length > largestDefinition) {
    report('too-large', `a ${noun} may have ${largestDefinition} characters; this one has ${text.length}`);
    return { diagnostics };
  }
  const tooDeep = findTooDeep(text);
  if (tooDeep !== undefined) {
    for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) lines.addNewLine(at + 1);
    report('too-deep', `nested more than ${deepest} levels deep`, rangeOf(tooDeep, tooDeep + 1));
    return { diagnostics };
  }

  const document = parseDocument(text, {
    lineCounter: lines,
    version: '1.2',
    schema: 'core',
    merge: false,
    uniqueKeys: true,
    prettyErrors: false,
    strict: true,
    // `silent` would also keep quiet about a second document.
    logLevel: 'error',
  });
  for (const problem of [...document.errors, ...document.warnings].slice(0, 100)) {
    const code = problem.code === 'DUPLICATE_KEY' ? 'duplicate-key' : 'yaml';
    report(code, yamlMessage(problem.message), rangeOf(problem.pos[0], problem.pos[1]));
  }
  refuseCleverness(document, (node, message) => {
    report(
      'yaml',
      message.replace('in a definition', `in a ${noun}`),
      node.range ? rangeOf(node.range[0], node.range[1]) : undefined,
    );
  });
  if (diagnostics.length > 0) return { diagnostics };
  if (document.contents === null || !isMap(document.contents)) {
    report(
      `not-a-${noun}`,
      `a ${noun} is a YAML mapping of keys to values`,
      rangeOf(0, Math.min(text.length, 1)),
    );
    return { diagnostics };
  }
  const range: Located['range'] = (path, part = 'value') =>
    locate(document.contents, { path, part, rangeOf });
  const source: Located['source'] = (path) => {
    const { start, end } = range(path);
    return text.slice(start.offset, end.offset);
  };
  return { diagnostics, located: { value: plain(document.contents), range, source } };
}

function yamlMessage(message: string): string {
  if (message === 'Map keys must be unique') return 'this key was already given above';
  return message.split('\n', 1)[0]?.slice(0, 300) ?? message;
}

/** Offset at which flow or block nesting passes the bound; the parser recurses, so this comes before it. */
function findTooDeep(text: string): number | undefined {
  let flow = 0;
  let lineStart = 0;
  let block = 0;
  const indents: number[] = [];
  let leading = true;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (char === '\n') {
      lineStart = at + 1;
      leading = true;
      block = 0;
      continue;
    }
    if (char === '[' || char === '{') flow += 1;
    else if (char === ']' || char === '}') flow = Math.max(0, flow - 1);
    else if ((char === '-' || char === '?' || char === ':') && isBreak(text[at + 1])) block += 1;
    if (leading && char !== ' ' && char !== '\t') {
      leading = false;
      const indent = at - lineStart;
      while ((indents.at(-1) ?? -1) >= indent) indents.pop();
      indents.push(indent);
    }
    if (flow > deepest * 8 || indents.length > deepest * 8 || block > deepest * 8) return at;
  }
  return undefined;
}

function isBreak(char: string | undefined): boolean {
  return char === undefined || char === ' ' || char === '\t' || char === '\n' || char === '\r';
}

function refuseCleverness(document: Document.Parsed, report: (node: Node, message: string) => void): void {
  const seen = new Set<string>();
  const once = (node: Node, message: string): void => {
    if (seen.size > 50 || seen.has(`${node.range?.[0]} ${message}`)) return;
    seen.add(`${node.range?.[0]} ${message}`);
    report(node, message);
  };
  visit(document, (_key, node, path) => {
    if (path.length > deepest * 2 && isNode(node)) {
      once(node, `nested more than ${deepest} levels deep`);
      return visit.BREAK;
    }
    if (isAlias(node)) once(node, 'aliases (*name) are not accepted in a definition');
    else if (isNode(node)) {
      if ('anchor' in node && node.anchor !== undefined)
        once(node, 'anchors (&name) are not accepted in a definition');
      if (node.tag !== undefined && !node.tag.startsWith('tag:yaml.org,2002:')) {
        once(node, `the tag ${node.tag.slice(0, 80)} is not accepted in a definition`);
      }
    } else if (
      isPair(node) &&
      isNode(node.key) &&
      (!isScalar(node.key) || typeof node.key.value !== 'string')
    ) {
      once(node.key, 'keys must be text');
    }
    return undefined;
  });
}

/** Own conversion instead of the library's: keys such as `__proto__` stay ordinary keys. */
function plain(node: unknown): unknown {
  if (isScalar(node)) return node.value;
  if (isSeq(node)) return node.items.map(plain);
  if (!isMap(node)) return undefined;
  return Object.fromEntries(node.items.map((pair) => [keyOf(pair), plain(pair.value)]));
}

function keyOf(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : '';
}

interface Search {
  readonly path: Path;
  readonly part: 'key' | 'value';
  readonly rangeOf: (start: number, end: number) => TextRange;
}

function locate(root: unknown, { path, part, rangeOf }: Search): TextRange {
  let node: unknown = root;
  let key: unknown;
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => keyOf(item) === String(step));
      // A missing key has no place of its own: point at the key of the mapping it is missing from.
      if (pair === undefined) return rangeOf(...span(key ?? node, true));
      key = pair.key;
      node = pair.value ?? pair.key;
    } else if (isSeq(node) && typeof step === 'number') {
      const item: unknown = node.items[step];
      if (item === undefined) break;
      key = undefined;
      node = item;
    } else break;
  }
  return rangeOf(...span(part === 'key' ? (key ?? node) : node, false));
}

function span(node: unknown, first: boolean): [number, number] {
  if (!isNode(node) || !node.range) return [0, 0];
  const [start, end] = node.range;
  if (!first || !isMap(node)) return [start, end];
  const key = node.items[0]?.key;
  return isNode(key) && key.range ? [key.range[0], key.range[1]] : [start, end];
}
