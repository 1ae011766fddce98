/**
 * Which security context a path gets: selabel_lookup(3) of libselinux for file_contexts.
 *
 * 1. Substitutions: .subs, then .subs_dist, each at most once; in each the last line that fits.
 * 2. A line without metacharacters names one path and wins over every pattern; among several the one that names the
 *    file's type, then the last (so does the manual; libselinux 3.8 takes the first of two equal lines).
 * 3. Among the patterns the last one that matches, where .homedirs and .local follow the main file. (semodule sorts
 *    the main file so that the last is the most specific.)
 */

import { FormatError } from '../bytes/index.ts';
import type { FileContextSpec, FileType, Substitution } from './file-contexts.ts';
import type { PathMatcher } from './regex-match.ts';
import { compileRegex } from './regex-match.ts';

export interface FileContextsInput {
  /** file_contexts, then .homedirs, then .local: one after the other. */
  readonly specs: readonly FileContextSpec[];
  /** file_contexts.subs */
  readonly subs?: readonly Substitution[];
  /** file_contexts.subs_dist */
  readonly subsDist?: readonly Substitution[];
}

export interface FileContexts {
  /**
   * The context of a file, or undefined when no line matches or the line says `<<none>>`. Without a type, as
   * libselinux does, the type is not compared at all.
   */
  labelFor(path: string, type?: FileType): string | undefined;
  /** The line that decides. */
  specFor(path: string, type?: FileType): FileContextSpec | undefined;
}

interface Pattern {
  readonly spec: FileContextSpec;
  /** Position among all lines; the highest that matches decides. */
  readonly order: number;
  /** Every matching path starts with it. */
  readonly prefix: string;
  readonly matcher: PathMatcher;
}

/** Patterns by the folders that stand in them without metacharacters: a path can only match those on its way. */
interface Folder {
  readonly children: Map<string, Folder>;
  /** Highest order first. */
  readonly patterns: Pattern[];
}

const metacharacters = /[.^$?*+|[({]/;

/** @throws FormatError naming file and line of the first pattern that cannot be compiled. */
export function compileFileContexts(input: FileContextsInput): FileContexts {
  return new Labels(input);
}

class Labels implements FileContexts {
  readonly #literals = new Map<string, FileContextSpec[]>();
  readonly #root: Folder = { children: new Map(), patterns: [] };
  readonly #subs: readonly Substitution[];
  readonly #subsDist: readonly Substitution[];

  constructor({ specs, subs = [], subsDist = [] }: FileContextsInput) {
    this.#subs = subs.toReversed();
    this.#subsDist = subsDist.toReversed();
    for (const [order, spec] of specs.entries()) {
      // All are compiled, also what is compared as text: a mistake has to show before anything is written.
      const matcher = compile(spec);
      const literal = literalPath(spec.pattern);
      if (literal !== undefined) this.#addLiteral(literal, spec);
      else this.#addPattern(spec, { order, matcher });
    }
  }

  labelFor(path: string, type?: FileType): string | undefined {
    return this.specFor(path, type)?.context;
  }

  specFor(path: string, type?: FileType): FileContextSpec | undefined {
    const key = this.#substitute(cleanPath(path));
    const literal = this.#literals.get(key)?.find((spec) => suits(spec, type));
    return literal ?? this.#lastPattern(key, type)?.spec;
  }

  #addLiteral(path: string, spec: FileContextSpec): void {
    const same = this.#literals.get(path);
    if (same === undefined) {
      this.#literals.set(path, [spec]);
      return;
    }
    const at = spec.type === undefined ? same.findIndex((other) => other.type === undefined) : 0;
    same.splice(at === -1 ? same.length : at, 0, spec);
  }

  #addPattern(spec: FileContextSpec, { order, matcher }: { order: number; matcher: PathMatcher }): void {
    const { folders, prefix } = fixedPart(spec.pattern);
    let folder = this.#root;
    for (const name of folders) {
      const child = folder.children.get(name) ?? { children: new Map(), patterns: [] };
      folder.children.set(name, child);
      folder = child;
    }
    folder.patterns.unshift({ spec, order, prefix, matcher });
  }

  #lastPattern(path: string, type: FileType | undefined): Pattern | undefined {
    let best: Pattern | undefined;
    for (const folder of foldersOf(this.#root, path).reverse()) {
      for (const pattern of folder.patterns) {
        if (best !== undefined && pattern.order < best.order) break;
        if (!suits(pattern.spec, type) || !path.startsWith(pattern.prefix)) continue;
        if (pattern.matcher.matches(path)) {
          best = pattern;
          break;
        }
      }
    }
    return best;
  }

  #substitute(path: string): string {
    const first = substitute(this.#subs, path) ?? path;
    return substitute(this.#subsDist, first) ?? first;
  }
}

function suits(spec: FileContextSpec, type: FileType | undefined): boolean {
  return type === undefined || spec.type === undefined || spec.type === type;
}

function compile(spec: FileContextSpec): PathMatcher {
  try {
    return compileRegex(spec.pattern);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new FormatError(error.code, `${spec.source}:${spec.line}: ${error.message}`, { cause: error });
  }
}

/** The path a pattern without metacharacters names; a backslash takes the next character as it is. */
function literalPath(pattern: string): string | undefined {
  const unescaped = pattern.replaceAll(/\\[^0-9A-Za-z]/g, 'x');
  if (metacharacters.test(unescaped) || unescaped.includes('\\')) return undefined;
  return pattern.replaceAll(/\\(.)/g, '$1');
}

/** The folders a pattern fixes and the text it fixes; alternatives on the outermost level fix no text. */
function fixedPart(pattern: string): { folders: string[]; prefix: string } {
  let at = 0;
  let prefix = '';
  let slash = 0;
  let lastWidth = 0;
  while (at < pattern.length && !metacharacters.test(pattern.charAt(at))) {
    const escaped = pattern[at] === '\\';
    if (escaped && /[0-9A-Za-z]/.test(pattern.charAt(at + 1))) break;
    const char = escaped ? pattern.charAt(at + 1) : pattern.charAt(at);
    if (char === '/') slash = prefix.length;
    prefix += char;
    lastWidth = char.length;
    at += escaped ? 2 : 1;
  }
  // A quantifier belongs to the character before it, which may then be missing.
  if (/[?*{]/.test(pattern.charAt(at))) prefix = prefix.slice(0, prefix.length - lastWidth);
  const folders = prefix.slice(0, Math.min(slash, prefix.length)).split('/').slice(1);
  if (hasOuterChoice(pattern)) return { folders: folders.slice(0, 1), prefix: '' };
  return { folders, prefix };
}

function hasOuterChoice(pattern: string): boolean {
  let depth = 0;
  for (const [token] of pattern.matchAll(/\\.|\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\]|[()|]/g)) {
    if (token === '(') depth += 1;
    else if (token === ')') depth -= 1;
    else if (token === '|' && depth === 0) return true;
  }
  return false;
}

function foldersOf(root: Folder, path: string): Folder[] {
  const found = [root];
  let folder = root;
  for (let start = 1, end = path.indexOf('/', 1); end !== -1; end = path.indexOf('/', start)) {
    const child = folder.children.get(path.slice(start, end));
    if (child === undefined) break;
    found.push(child);
    folder = child;
    start = end + 1;
  }
  return found;
}

function substitute(substitutions: readonly Substitution[], path: string): string | undefined {
  for (const { from, to } of substitutions) {
    if (!path.startsWith(from)) continue;
    const rest = path.slice(from.length);
    if (rest !== '' && !rest.startsWith('/')) continue;
    return to === '/' && rest !== '' ? rest : to + rest;
  }
  return undefined;
}

/** One character per byte, no double slashes, no slash at the end. */
function cleanPath(path: string): string {
  const bytes = Buffer.from(path, 'utf8');
  const plain = bytes.length === path.length ? path : bytes.toString('latin1');
  const single = plain.includes('//') ? plain.replaceAll(/\/{2,}/g, '/') : plain;
  return single.length > 1 && single.endsWith('/') ? single.slice(0, -1) : single;
}
