/**
 * A strict DER reader (X.690 section 10): definite minimal lengths, single-octet identifiers, minimal
 * integers, no trailing bytes. BER's freedoms (indefinite length, long forms) are refused, because two
 * readings of one signed object are one too many.
 *
 * The reader never recurses by itself: a caller enters a constructed value for each level of its own schema,
 * so depth is bounded by the schema; the bound below only guards against a caller that loops.
 */

import { FormatError } from '../bytes/index.ts';
import { derTag } from './tags.ts';

const deepest = 32;

export interface DerElement {
  /** The identifier octet. */
  readonly tag: number;
  readonly content: Uint8Array;
  /** Identifier, length and content: the element as it was signed or is to be embedded. */
  readonly bytes: Uint8Array;
  /** Of the identifier octet in the whole input. Bytes. */
  readonly offset: number;
}

export interface DerReaderOptions {
  /** Added to reported offsets. Bytes. */
  readonly base?: number;
  readonly depth?: number;
}

export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #base: number;
  readonly #depth: number;
  #position = 0;

  constructor(bytes: Uint8Array, options: DerReaderOptions = {}) {
    this.#bytes = bytes;
    this.#base = options.base ?? 0;
    this.#depth = options.depth ?? 0;
    if (this.#depth > deepest) {
      throw new FormatError('too-large', `DER nested deeper than ${deepest} levels`, { offset: this.offset });
    }
  }

  get offset(): number {
    return this.#base + this.#position;
  }

  get done(): boolean {
    return this.#position === this.#bytes.length;
  }

  /** The identifier octet of the next element; undefined at the end. */
  peek(): number | undefined {
    return this.#bytes[this.#position];
  }

  /** The next element whatever its type. */
  any(what: string): DerElement {
    const start = this.#position;
    const tag = this.#octet(what);
    if ((tag & 0x1f) === 0x1f) this.#fail(`${what}: multi-octet tag`, start);
    const length = this.#lengthOf(what);
    const at = this.#position;
    if (length > this.#bytes.length - at) {
      const left = this.#bytes.length - at;
      throw new FormatError('truncated', `${what}: says ${length} bytes, ${left} are left`, {
        offset: this.#base + start,
      });
    }
    this.#position = at + length;
    return {
      tag,
      content: this.#bytes.subarray(at, at + length),
      bytes: this.#bytes.subarray(start, at + length),
      offset: this.#base + start,
    };
  }

  element(tag: number, what: string): DerElement {
    const found = this.peek();
    if (found === undefined) {
      throw new FormatError('truncated', `${what}: missing`, { offset: this.offset });
    }
    if (found !== tag) this.#fail(`${what}: expected tag ${hex(tag)}, found ${hex(found)}`, this.#position);
    return this.any(what);
  }

  /** The next element when it has this tag, else undefined. */
  optional(tag: number, what: string): DerElement | undefined {
    return this.peek() === tag ? this.any(what) : undefined;
  }

  /** A reader over the content of the next element. */
  enter(tag: number, what: string): DerReader {
    return this.inside(this.element(tag, what));
  }

  sequence(what: string): DerReader {
    return this.enter(derTag.sequence, what);
  }

  /** A reader over the content of an element that was read before. */
  inside(element: DerElement): DerReader {
    const base = element.offset + element.bytes.length - element.content.length;
    return new DerReader(element.content, { base, depth: this.#depth + 1 });
  }

  /** Two's complement content octets, minimal as DER demands. */
  integer(what: string): Uint8Array {
    const { content, offset } = this.element(derTag.integer, what);
    const [first, second] = content;
    const padded =
      content.length > 1 &&
      ((first === 0 && (second ?? 0) < 0x80) || (first === 0xff && (second ?? 0) >= 0x80));
    if (first === undefined || padded) {
      throw new FormatError('malformed', `${what}: integer is not minimal`, { offset });
    }
    return content;
  }

  /** An integer from 0 to 2^31 - 1, such as a version. */
  smallInteger(what: string): number {
    const at = this.offset;
    const content = this.integer(what);
    if (content.length > 4 || (content[0] ?? 0) >= 0x80) {
      throw new FormatError('malformed', `${what}: not a small non-negative integer`, { offset: at });
    }
    return content.reduce((value, octet) => value * 256 + octet, 0);
  }

  boolean(what: string): boolean {
    const { content, offset } = this.element(derTag.boolean, what);
    if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) {
      throw new FormatError('malformed', `${what}: boolean is neither 00 nor ff`, { offset });
    }
    return content[0] === 0xff;
  }

  /** An object identifier in dotted form. */
  oid(what: string): string {
    const { content, offset } = this.element(derTag.oid, what);
    return decodeOid(content, { what, offset });
  }

  octetString(what: string): Uint8Array {
    return this.element(derTag.octetString, what).content;
  }

  /** A bit string that is whole octets, as keys and signatures are. */
  bitString(what: string): Uint8Array {
    const { content, offset } = this.element(derTag.bitString, what);
    if (content[0] !== 0)
      throw new FormatError('malformed', `${what}: bit string is not whole octets`, { offset });
    return content.subarray(1);
  }

  null(what: string): void {
    const { content, offset } = this.element(derTag.null, what);
    if (content.length !== 0) throw new FormatError('malformed', `${what}: NULL with content`, { offset });
  }

  end(what: string): void {
    if (!this.done) {
      const left = this.#bytes.length - this.#position;
      this.#fail(`${what}: ${left} bytes too many`, this.#position);
    }
  }

  #octet(what: string): number {
    const octet = this.#bytes[this.#position];
    if (octet === undefined) {
      throw new FormatError('truncated', `${what}: ends inside a header`, { offset: this.offset });
    }
    this.#position += 1;
    return octet;
  }

  #lengthOf(what: string): number {
    const start = this.#position;
    const first = this.#octet(what);
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count === 0) this.#fail(`${what}: indefinite length`, start);
    if (count > 4) this.#fail(`${what}: length of ${count} octets`, start);
    let length = 0;
    for (let i = 0; i < count; i += 1) length = length * 256 + this.#octet(what);
    if (length < 0x80 || length < 2 ** (8 * (count - 1))) this.#fail(`${what}: length is not minimal`, start);
    return length;
  }

  #fail(message: string, position: number): never {
    throw new FormatError('malformed', message, { offset: this.#base + position });
  }
}

function hex(tag: number): string {
  return `0x${tag.toString(16).padStart(2, '0')}`;
}

function decodeOid(content: Uint8Array, where: { readonly what: string; readonly offset: number }): string {
  const malformed = (why: string): FormatError =>
    new FormatError('malformed', `${where.what}: ${why}`, { offset: where.offset });
  if (content.length === 0 || content.length > 64) throw malformed('object identifier of illegal length');
  const arcs: number[] = [];
  let arc = 0;
  let started = false;
  for (const octet of content) {
    if (!started && octet === 0x80) throw malformed('object identifier is not minimal');
    started = true;
    arc = arc * 128 + (octet & 0x7f);
    if (arc > Number.MAX_SAFE_INTEGER) throw malformed('object identifier arc too large');
    if (octet < 0x80) {
      arcs.push(arc);
      arc = 0;
      started = false;
    }
  }
  if (started) throw malformed('object identifier ends inside an arc');
  const head = arcs[0] ?? 0;
  const root = Math.min(2, Math.floor(head / 40));
  return [root, head - root * 40, ...arcs.slice(1)].join('.');
}
