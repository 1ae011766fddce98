/** Reading file bodies: whole for small ones, in pieces for copies, with the files they lie in kept open. */

import { closeSync, openSync, readSync } from 'node:fs';

import { bodySize } from './node.ts';
import type { RootNode } from './node.ts';
import { TreeError } from './root-tree.ts';

/** Longest body that is read into memory at once. Bytes. */
const largestWhole = 512 * 1024 * 1024;

/** Opens each file once; dispose of it when done. */
export class BodyReader implements Disposable {
  readonly #open = new Map<string, number>();

  /** The whole body of a regular file. */
  read(node: RootNode): Uint8Array {
    if (node.body === undefined) throw new TreeError(`a ${node.type} has no body`);
    if (node.body.kind === 'bytes') return node.body.bytes;
    const { size } = node.body;
    if (size > largestWhole) throw new TreeError(`a body of ${size} bytes is not read at once`);
    const bytes = Buffer.allocUnsafeSlow(size);
    this.#fill(bytes, node.body, 0);
    return bytes;
  }

  text(node: RootNode): string {
    return Buffer.from(this.read(node)).toString('utf8');
  }

  /** Fills `target` from the body's `at`-th byte on; returns how many bytes there were. */
  readAt(node: RootNode, target: Uint8Array, at: number): number {
    const length = Math.min(target.length, bodySize(node) - at);
    if (node.body === undefined || length <= 0) return 0;
    if (node.body.kind === 'bytes') target.set(node.body.bytes.subarray(at, at + length));
    else this.#fill(target.subarray(0, length), node.body, at);
    return length;
  }

  /** Fills buffer after buffer until the body ends; what a one-pass writer asks for. */
  filler(node: RootNode): (target: Uint8Array) => number {
    let at = 0;
    return (target) => {
      const count = this.readAt(node, target, at);
      at += count;
      return count;
    };
  }

  [Symbol.dispose](): void {
    for (const fd of this.#open.values()) closeSync(fd);
    this.#open.clear();
  }

  #fill(target: Uint8Array, body: { readonly path: string; readonly offset: number }, at: number): void {
    let fd = this.#open.get(body.path);
    if (fd === undefined) {
      fd = openSync(body.path, 'r');
      this.#open.set(body.path, fd);
    }
    let done = 0;
    while (done < target.length) {
      const count = readSync(fd, target, done, target.length - done, body.offset + at + done);
      if (count === 0) throw new TreeError(`${body.path} is shorter than the tree says`);
      done += count;
    }
  }
}
