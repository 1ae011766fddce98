/**
 * Two file systems side by side: both walks give their paths in one order, so only one entry of each is held at a
 * time. Times are not compared: two builds of the same content differ in them.
 */

import { createHash } from 'node:crypto';
import { encodeText, FormatError, toHex } from '@osguard/formats/bytes';
import type { ErofsNode } from '@osguard/formats/erofs';
import { formatFileCapabilities, parseFileCapabilities } from '../inspect/capabilities.ts';
import type { Findings } from '../inspect/findings.ts';
import type { OpenedUsr } from '../inspect/usr.ts';
import { modeText } from './file-records.ts';
import type { Fields } from './records.ts';
import { PartCollector } from './records.ts';
import type { PartDiff } from './report.ts';

export interface UsrSide {
  readonly usr: OpenedUsr;
  readonly findings: Findings;
}

export interface DiffUsrOptions {
  readonly signal?: AbortSignal;
}

/** Damage on one side ends the comparison there, as a finding of that side. */
export function diffUsrFiles(a: UsrSide, b: UsrSide, { signal }: DiffUsrOptions = {}): PartDiff | undefined {
  const part = new PartCollector('usr-files');
  const left = new Walk(a);
  const right = new Walk(b);
  while (!left.broken && !right.broken && (left.current !== undefined || right.current !== undefined)) {
    signal?.throwIfAborted();
    const order = compareEntries(left.current, right.current);
    if (order < 0) part.compare(left.path, left.fields(), undefined);
    else if (order > 0) part.compare(right.path, undefined, right.fields());
    else comparePair(part, left, right);
    if (order <= 0) left.advance();
    if (order >= 0) right.advance();
  }
  return part.finish();
}

function comparePair(part: PartCollector, left: Walk, right: Walk): void {
  const [before, after] = [left.fields(), right.fields()];
  const files = left.current?.node.type === 'file' && right.current?.node.type === 'file';
  part.compare(
    left.path,
    files ? { ...before, sha256: left.digest() } : before,
    files ? { ...after, sha256: right.digest() } : after,
  );
}

interface WalkEntry {
  readonly path: string;
  readonly node: ErofsNode;
  /** Compares like the order of the walk: a separator comes before every other byte. */
  readonly key: Uint8Array;
}

function compareEntries(a: WalkEntry | undefined, b: WalkEntry | undefined): number {
  if (a === undefined) return 1;
  if (b === undefined) return -1;
  return Buffer.compare(a.key, b.key);
}

/** Digests of hard-linked files that are remembered. */
const mostLinks = 10_000;

class Walk {
  readonly #side: UsrSide;
  readonly #iterator: Iterator<{ readonly path: string; readonly node: ErofsNode }>;
  readonly #links = new Map<number, string>();
  /** Bytes that may still be hashed: holes and shared blocks make files larger than the image that holds them. */
  #budget: number;
  current: WalkEntry | undefined;
  /** The walk ended before the end. */
  broken = false;

  constructor(side: UsrSide) {
    this.#side = side;
    this.#iterator = side.usr.image.walk();
    this.#budget = 4 * side.usr.image.size + 256 * 2 ** 20;
    this.advance();
  }

  get path(): string {
    return this.current?.path ?? '';
  }

  advance(): void {
    const { usr, findings } = this.#side;
    const next = findings.attempt(usr.where, () => this.#iterator.next());
    this.broken = next === undefined;
    if (next === undefined || next.done === true) {
      this.current = undefined;
      return;
    }
    const { path: inside, node } = next.value;
    const path = inside === '/' ? usr.prefix || '/' : usr.prefix + inside;
    this.current = { path, node, key: encodeText(path.replaceAll('/', '\0')) };
  }

  /** Everything but the content. */
  fields(): Fields {
    const { usr, findings } = this.#side;
    const { image } = usr;
    if (this.current === undefined) return {};
    const { node, path } = this.current;
    const where = `${usr.where} ${path}`;
    const xattrs = findings.attempt(where, () => image.xattrs(node)) ?? new Map<string, Uint8Array>();
    const fields: Record<string, string | undefined> = {
      type: node.type,
      mode: modeText(node.mode),
      owner: `${node.uid}:${node.gid}`,
      size: node.type === 'file' ? String(node.size) : undefined,
      target: node.type === 'symlink' ? findings.attempt(where, () => image.symlinkTarget(node)) : undefined,
      device: node.type.endsWith('device') ? deviceText(image.device(node)) : undefined,
    };
    for (const [name, value] of xattrs) fields[fieldOf(name)] = xattrText(name, value);
    return fields;
  }

  digest(): string | undefined {
    const { usr, findings } = this.#side;
    if (this.current === undefined) return undefined;
    const { node, path } = this.current;
    const known = this.#links.get(node.nid);
    if (known !== undefined) return known;
    const sha256 = findings.attempt(`${usr.where} ${path}`, () => {
      this.#budget -= node.size;
      if (this.#budget < 0) {
        throw new FormatError('too-large', 'the files are many times larger than the image');
      }
      const hash = createHash('sha256');
      for (const piece of usr.image.chunks(node)) hash.update(piece);
      return hash.digest('hex');
    });
    if (sha256 !== undefined && node.nlink > 1 && this.#links.size < mostLinks)
      this.#links.set(node.nid, sha256);
    return sha256;
  }
}

function deviceText({ major, minor }: { readonly major: number; readonly minor: number }): string {
  return `${major}:${minor}`;
}

function fieldOf(name: string): string {
  if (name === 'security.selinux') return 'label';
  return name === 'security.capability' ? 'capabilities' : name;
}

function xattrText(name: string, value: Uint8Array): string {
  if (name === 'security.selinux') return Buffer.from(value).toString('latin1').replace(/\0$/, '');
  if (name === 'security.capability') {
    try {
      return formatFileCapabilities(parseFileCapabilities(value));
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
    }
  }
  return toHex(value.subarray(0, 256));
}
