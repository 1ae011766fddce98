/**
 * Reads a tar stream as it comes, in chunks of any size. Bodies are handed on as views of the chunks: what
 * is not a header is never copied.
 */

import { decodeText, FormatError } from '../bytes/index.ts';
import type { TarReadEntry } from './entry.ts';
import { blockSize, kindOfFlag } from './entry.ts';
import type { RawHeader } from './header.ts';
import { isZeroBlock, parseHeaderBlock, untilNul } from './header.ts';
import type { PaxValues } from './pax.ts';
import { parsePax } from './pax.ts';

export interface TarSink {
  entry(entry: TarReadEntry): void;
  /** A piece of the body of the last entry; a view of the chunk that was pushed. */
  data(bytes: Uint8Array): void;
  /** After the last piece of the body; also for entries without one. */
  entryEnd(entry: TarReadEntry): void;
}

export interface TarReaderOptions {
  /**
   * Take the end of the stream for the end of the archive when the end mark (two blocks of zeros) is missing,
   * and ignore what follows it. Only for input whose length is vouched for otherwise, as a layer's digest does.
   */
  readonly lenientEnd?: boolean;
}

export interface TarReader {
  /**
   * The chunk may be reused when this returns: nothing of it is kept.
   *
   * @throws FormatError with the offset in the stream; the reader is of no use afterwards.
   */
  push(chunk: Uint8Array): void;
  /** The stream has ended. @throws FormatError (`truncated`) when the archive had not. */
  end(): void;
}

/** Extension headers longer than this are refused: a path has 4 KiB, an attribute 64 KiB at most. Bytes. */
const maxExtension = 1024 * 1024;

type State =
  /** Collecting a header block. */
  | 'header'
  /** Collecting the body of an extension header (pax or GNU long name). */
  | 'extension'
  | 'body'
  /** Zeros after a body or an extension up to the block's end. */
  | 'padding'
  /** After one block of zeros: another one must follow. */
  | 'end-mark'
  | 'done';

export function createTarReader(sink: TarSink, options: TarReaderOptions = {}): TarReader {
  return new Machine(sink, options.lenientEnd === true);
}

class Machine implements TarReader {
  readonly #sink: TarSink;
  readonly #lenient: boolean;
  readonly #block = new Uint8Array(blockSize);
  #state: State = 'header';
  /** Offset of the next byte in the stream. */
  #offset = 0;
  /** Bytes collected of the block or extension. */
  #filled = 0;
  /** Bytes left of a body or padding. */
  #left = 0;
  #padding = 0;
  #extension: { readonly flag: string; readonly bytes: Uint8Array; readonly offset: number } | undefined;
  /** Offset of the first header block of the entry that is being read. */
  #start = 0;
  #global: PaxValues | undefined;
  #pax: PaxValues | undefined;
  #longName: string | undefined;
  #longLink: string | undefined;
  #entry: TarReadEntry | undefined;

  constructor(sink: TarSink, lenient: boolean) {
    this.#sink = sink;
    this.#lenient = lenient;
  }

  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      const used = this.#step(chunk, at);
      at += used;
      this.#offset += used;
    }
  }

  end(): void {
    if (this.#state === 'done') return;
    const atBlock = this.#state === 'header' || this.#state === 'end-mark';
    const between = atBlock && this.#filled === 0 && !this.#hasExtensions();
    if (between && this.#lenient) return;
    const message = between ? 'the end mark is missing' : 'the archive ends in the middle';
    throw new FormatError('truncated', message, { offset: this.#offset });
  }

  #step(chunk: Uint8Array, at: number): number {
    switch (this.#state) {
      case 'header':
      case 'end-mark':
        return this.#collectBlock(chunk, at);
      case 'extension':
        return this.#collectExtension(chunk, at);
      case 'body': {
        const used = Math.min(this.#left, chunk.length - at);
        this.#sink.data(used === chunk.length ? chunk : chunk.subarray(at, at + used));
        this.#left -= used;
        if (this.#left === 0) this.#finishBody();
        return used;
      }
      case 'padding': {
        const used = Math.min(this.#left, chunk.length - at);
        this.#left -= used;
        if (this.#left === 0) this.#state = 'header';
        return used;
      }
      case 'done':
        break;
    }
    return this.#afterEnd(chunk, at);
  }

  #collectBlock(chunk: Uint8Array, at: number): number {
    if (this.#filled === 0 && chunk.length - at >= blockSize) {
      this.#header(chunk.subarray(at, at + blockSize), this.#offset);
      return blockSize;
    }
    const used = Math.min(blockSize - this.#filled, chunk.length - at);
    this.#block.set(chunk.subarray(at, at + used), this.#filled);
    this.#filled += used;
    if (this.#filled === blockSize) {
      this.#filled = 0;
      this.#header(this.#block, this.#offset + used - blockSize);
    }
    return used;
  }

  #header(block: Uint8Array, offset: number): void {
    if (isZeroBlock(block)) {
      if (this.#hasExtensions()) {
        throw new FormatError('malformed', 'an extension header without an entry', { offset: this.#start });
      }
      this.#state = this.#state === 'end-mark' ? 'done' : 'end-mark';
      return;
    }
    if (this.#state === 'end-mark') {
      throw new FormatError('malformed', 'a lone block of zeros inside the archive', {
        offset: offset - blockSize,
      });
    }
    const header = parseHeaderBlock(block, offset);
    if (!this.#hasExtensions()) this.#start = offset;
    if ('xgLK'.includes(header.flag)) this.#openExtension(header, offset);
    else this.#openEntry(header, offset);
  }

  #hasExtensions(): boolean {
    return this.#pax !== undefined || this.#longName !== undefined || this.#longLink !== undefined;
  }

  #openExtension({ flag, size }: RawHeader, offset: number): void {
    const twice =
      (flag === 'x' && this.#pax !== undefined) ||
      (flag === 'L' && this.#longName !== undefined) ||
      (flag === 'K' && this.#longLink !== undefined);
    if (twice) {
      throw new FormatError('malformed', `two extension headers of type ${flag} for one entry`, { offset });
    }
    if (size > maxExtension) {
      throw new FormatError('too-large', `an extension header of ${size} bytes`, { offset: offset + 124 });
    }
    this.#padding = paddingOf(size);
    this.#extension = { flag, bytes: new Uint8Array(size), offset: offset + blockSize };
    if (size === 0) this.#finishExtension();
    else this.#state = 'extension';
  }

  #collectExtension(chunk: Uint8Array, at: number): number {
    const bytes = this.#extension?.bytes ?? new Uint8Array();
    const used = Math.min(bytes.length - this.#filled, chunk.length - at);
    bytes.set(chunk.subarray(at, at + used), this.#filled);
    this.#filled += used;
    if (this.#filled === bytes.length) {
      this.#filled = 0;
      this.#finishExtension();
    }
    return used;
  }

  #finishExtension(): void {
    const { flag, bytes, offset } = this.#extension ?? { flag: '', bytes: new Uint8Array(), offset: 0 };
    this.#extension = undefined;
    if (flag === 'x') this.#pax = parsePax(bytes, { base: offset, global: false });
    else if (flag === 'g')
      this.#global = mergeGlobal(this.#global, parsePax(bytes, { base: offset, global: true }));
    else if (flag === 'L') this.#longName = decodeText(untilNul(bytes));
    else this.#longLink = decodeText(untilNul(bytes));
    this.#pad();
  }

  #openEntry(header: RawHeader, offset: number): void {
    const pax = this.#pax;
    if (
      (pax?.path !== undefined && this.#longName !== undefined) ||
      (pax?.linkPath !== undefined && this.#longLink !== undefined)
    ) {
      throw new FormatError('malformed', 'a name both from a pax and from a GNU header', { offset });
    }
    const entry = makeEntry(header, {
      pax,
      global: this.#global,
      longName: this.#longName,
      longLink: this.#longLink,
      start: this.#start,
      offset,
    });
    this.#pax = undefined;
    this.#longName = undefined;
    this.#longLink = undefined;
    if (entry === undefined) return;
    this.#entry = entry;
    this.#sink.entry(entry);
    this.#left = entry.size;
    this.#padding = paddingOf(entry.size);
    if (entry.size === 0) this.#finishBody();
    else this.#state = 'body';
  }

  #finishBody(): void {
    if (this.#entry !== undefined) this.#sink.entryEnd(this.#entry);
    this.#entry = undefined;
    this.#pad();
  }

  #pad(): void {
    this.#left = this.#padding;
    this.#state = this.#left === 0 ? 'header' : 'padding';
  }

  /** Writers fill the last record with zeros; anything else is not part of any archive. */
  #afterEnd(chunk: Uint8Array, at: number): number {
    if (!this.#lenient) {
      for (let i = at; i < chunk.length; i += 1) {
        if (chunk[i] === 0) continue;
        throw new FormatError('malformed', 'something follows the end of the archive', {
          offset: this.#offset + i - at,
        });
      }
    }
    return chunk.length - at;
  }
}

interface EntryContext {
  readonly pax: PaxValues | undefined;
  readonly global: PaxValues | undefined;
  readonly longName: string | undefined;
  readonly longLink: string | undefined;
  readonly start: number;
  readonly offset: number;
}

/** @returns undefined for a block that describes no file (a GNU volume label). */
function makeEntry(header: RawHeader, context: EntryContext): TarReadEntry | undefined {
  const { pax, global, offset, start } = context;
  const { flag } = header;
  const stored = pax?.path ?? context.longName ?? decodeText(header.name);
  const path = stored.replace(/(?<=[^/])\/+$/, '');
  if (flag === 'V' && header.size === 0) return undefined;
  if (flag === 'S') {
    throw new FormatError('unsupported', `${JSON.stringify(path)} is a sparse file (old GNU form)`, {
      offset: offset + 156,
      hint: 'make the archive without --sparse',
    });
  }
  const type = kindOfFlag.get(flag);
  if (type === undefined) {
    throw new FormatError('unsupported', `${JSON.stringify(path)} has type ${JSON.stringify(flag)}`, {
      offset: offset + 156,
    });
  }
  // v7 has no type for folders: a name that ends in a slash is one.
  const kind = type === 'file' && path !== stored ? 'directory' : type;
  const size = pax?.size ?? header.size;
  // POSIX lets a hard link carry its data again, older writers give a size without data: no reading is safe.
  if (kind === 'hardlink' && size !== 0) {
    throw new FormatError('unsupported', `${JSON.stringify(path)}: a hard link with ${size} bytes of data`, {
      offset: offset + 124,
    });
  }
  const isLink = kind === 'hardlink' || kind === 'symlink';
  const linkPath = isLink ? (pax?.linkPath ?? context.longLink ?? decodeText(header.linkName)) : '';
  if (path === '' || (isLink && linkPath === '')) {
    throw new FormatError('malformed', path === '' ? 'an empty name' : 'an empty link target', { offset });
  }
  const isDevice = kind === 'character-device' || kind === 'block-device';
  return {
    path,
    kind,
    size: kind === 'file' ? size : 0,
    mode: header.mode,
    uid: pax?.uid ?? global?.uid ?? header.uid,
    gid: pax?.gid ?? global?.gid ?? header.gid,
    uname: pax?.uname ?? global?.uname ?? decodeText(header.uname),
    gname: pax?.gname ?? global?.gname ?? decodeText(header.gname),
    mtime: pax?.mtime ?? global?.mtime ?? { seconds: header.mtime, nanoseconds: 0 },
    linkPath,
    major: isDevice ? header.major : 0,
    minor: isDevice ? header.minor : 0,
    xattrs: pax?.xattrs ?? new Map(),
    ignored: pax?.ignored ?? [],
    offset: start,
    bodyOffset: offset + blockSize,
  };
}

function mergeGlobal(old: PaxValues | undefined, next: PaxValues): PaxValues {
  return { ...old, ...next };
}

function paddingOf(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize;
}
