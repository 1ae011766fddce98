/**
 * Matches one pattern in time linear in the path: Thompson's construction, made deterministic while it runs.
 * libselinux compiles `^PATTERN$` with PCRE2_DOTALL in the C locale, without UTF: it matches bytes.
 */

import { FormatError } from '../bytes/index.ts';
import type { ByteSet, RegexNode } from './regex-syntax.ts';
import { anyByte, parseRegex, single } from './regex-syntax.ts';

/** Counted repeats multiply; the largest pattern of Debian's policy needs under 200. */
const maxStates = 10_000;
/** Deterministic states kept per pattern before starting afresh: memory stays bounded for any pattern. */
const maxCached = 512;

/** State numbers below index `sets`; `split` states have no set and up to two ways on. */
interface Automaton {
  readonly sets: (ByteSet | undefined)[];
  readonly out: number[];
  readonly alternative: number[];
}

const none = -1;
/** The state in which the whole path was read. */
const accept = 0;

export interface PathMatcher {
  /** `path` holds one character per byte. */
  matches(path: string): boolean;
}

/** @throws FormatError as parseRegex, and `too-large` when counted repeats make the pattern huge. */
export function compileRegex(pattern: string): PathMatcher {
  const { branches } = parseRegex(pattern);
  const automaton: Automaton = { sets: [undefined], out: [none], alternative: [none] };
  const start = build(automaton, anchored(branches), accept);
  // The patterns of a policy are many and most never see a path: only their syntax is checked up front.
  let matcher: LazyMatcher | undefined;
  return {
    matches(path) {
      matcher ??= new LazyMatcher(automaton, start);
      return matcher.matches(path);
    },
  };
}

/**
 * `^a|b|c$` anchors a on the left and c on the right only, as PCRE2 reads it; and `$` also holds before a newline
 * that ends the path.
 */
function anchored(branches: readonly RegexNode[]): RegexNode {
  const anything: RegexNode = { kind: 'repeat', part: { kind: 'set', set: anyByte }, min: 0 };
  const newline: RegexNode = { kind: 'repeat', part: { kind: 'set', set: single(0x0a) }, min: 0, max: 1 };
  const last = branches.length - 1;
  const ends = branches.map((branch, index): RegexNode => {
    const parts = [branch, index === last ? newline : anything];
    if (index > 0) parts.unshift(anything);
    return { kind: 'sequence', parts };
  });
  return { kind: 'choice', branches: ends };
}

/** Adds states for `node` that lead on to `next`; returns the first of them. */
function build(automaton: Automaton, node: RegexNode, next: number): number {
  switch (node.kind) {
    case 'set':
      return state(automaton, { set: node.set, out: next });
    case 'sequence':
      return node.parts.reduceRight((following, part) => build(automaton, part, following), next);
    case 'choice': {
      const starts = node.branches.map((branch) => build(automaton, branch, next));
      return starts.reduceRight((other, first) => state(automaton, { out: first, alternative: other }));
    }
    default:
      return buildRepeat(automaton, node, next);
  }
}

function buildRepeat(
  automaton: Automaton,
  node: Extract<RegexNode, { kind: 'repeat' }>,
  next: number,
): number {
  let following = next;
  if (node.max === undefined) {
    const loop = state(automaton, { out: none, alternative: next });
    automaton.out[loop] = build(automaton, node.part, loop);
    following = loop;
  } else {
    for (let count = node.min; count < node.max; count += 1) {
      following = state(automaton, { out: build(automaton, node.part, following), alternative: next });
    }
  }
  for (let count = 0; count < node.min; count += 1) following = build(automaton, node.part, following);
  return following;
}

function state(
  automaton: Automaton,
  { set, out, alternative = none }: { set?: ByteSet; out: number; alternative?: number },
): number {
  if (automaton.sets.length >= maxStates) {
    throw new FormatError('too-large', `a regular expression of more than ${maxStates} states`);
  }
  automaton.sets.push(set);
  automaton.out.push(out);
  automaton.alternative.push(alternative);
  return automaton.sets.length - 1;
}

/** What the path so far can have led to; `next[class]` is filled when first needed. */
interface DfaState {
  readonly members: readonly number[];
  readonly accepts: boolean;
  readonly next: (DfaState | undefined)[];
}

class LazyMatcher {
  readonly #automaton: Automaton;
  /** Bytes that no set of the pattern tells apart share a class. */
  readonly #classOf: Uint8Array;
  readonly #byteOf: readonly number[];
  readonly #seen: Int32Array;
  #round = 0;
  #cached = new Map<string, DfaState>();
  readonly #start: DfaState;

  constructor(automaton: Automaton, start: number) {
    this.#automaton = automaton;
    this.#seen = new Int32Array(automaton.sets.length);
    const { classOf, byteOf } = byteClasses(automaton);
    this.#classOf = classOf;
    this.#byteOf = byteOf;
    this.#start = this.#intern(this.#closure([start]));
  }

  matches(path: string): boolean {
    let current = this.#start;
    for (let at = 0; at < path.length; at += 1) {
      const byteClass = this.#classOf[path.charCodeAt(at) & 0xff] ?? 0;
      current = current.next[byteClass] ?? this.#step(current, byteClass);
      if (current.members.length === 0) return false;
    }
    return current.accepts;
  }

  #step(from: DfaState, byteClass: number): DfaState {
    const byte = this.#byteOf[byteClass] ?? 0;
    const targets: number[] = [];
    for (const member of from.members) {
      if (this.#automaton.sets[member]?.[byte] === 1) targets.push(this.#automaton.out[member] ?? none);
    }
    const to = this.#intern(this.#closure(targets));
    from.next[byteClass] = to;
    return to;
  }

  /** All states reachable without reading a byte, without the splits themselves; sorted. */
  #closure(from: readonly number[]): number[] {
    const { sets, out, alternative } = this.#automaton;
    this.#round += 1;
    const members: number[] = [];
    const stack = [...from];
    for (let member = stack.pop(); member !== undefined; member = stack.pop()) {
      if (member === none || this.#seen[member] === this.#round) continue;
      this.#seen[member] = this.#round;
      if (member === accept || sets[member] !== undefined) members.push(member);
      else stack.push(alternative[member] ?? none, out[member] ?? none);
    }
    return members.sort((a, b) => a - b);
  }

  #intern(members: number[]): DfaState {
    const key = members.join();
    const known = this.#cached.get(key);
    if (known !== undefined) return known;
    if (this.#cached.size >= maxCached) this.#forget();
    const made: DfaState = { members, accepts: members[0] === accept, next: [] };
    this.#cached.set(key, made);
    return made;
  }

  /** Old states stay usable for a match that is under way, but nothing leads to them any more. */
  #forget(): void {
    for (const old of this.#cached.values()) old.next.length = 0;
    this.#cached = new Map();
  }
}

/** Splits the 256 bytes by one set of the pattern after the other. */
function byteClasses({ sets }: Automaton): { classOf: Uint8Array; byteOf: number[] } {
  const wide = new Uint32Array(256);
  let count = 1;
  for (const set of new Set(sets)) {
    if (set === undefined || set === anyByte) continue;
    const inside = new Map<number, number>();
    for (let byte = 0; byte < 256; byte += 1) {
      if (set[byte] === 0) continue;
      const old = wide[byte] ?? 0;
      const made = inside.get(old) ?? count + inside.size;
      inside.set(old, made);
      wide[byte] = made;
    }
    count += inside.size;
  }
  const numbers = new Map<number, number>();
  const byteOf: number[] = [];
  const classOf = new Uint8Array(256);
  for (const [byte, value] of wide.entries()) {
    const known = numbers.get(value) ?? byteOf.length;
    if (known === byteOf.length) byteOf.push(byte);
    numbers.set(value, known);
    classOf[byte] = known;
  }
  return { classOf, byteOf };
}
