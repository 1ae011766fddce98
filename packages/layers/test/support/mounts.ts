/** Images mounted by this machine's kernel, for as long as a test looks at them. */

import { mkdirSync } from 'node:fs';
import type { Scratch } from '@osguard/testkit';
import { judge } from '@osguard/testkit';

export const isRoot: boolean = process.getuid?.() === 0;
export const notRoot = 'owners, devices and mounts need root';
export const noMount = 'this machine cannot mount EROFS through a loop device, or no overlay';

/** A stack of mounts; disposing takes them off, the last first. */
export class Mounts implements Disposable {
  readonly #dir: Scratch;
  readonly #places: string[] = [];

  constructor(dir: Scratch) {
    this.#dir = dir;
  }

  /** Where the image is mounted; undefined when this machine cannot. A refused image is an error. */
  erofs(image: string): string | undefined {
    return this.#mount(['-t', 'erofs', '-o', 'loop,ro', image]);
  }

  /** Folders on top of each other, the topmost first. */
  overlay(folders: readonly string[]): string | undefined {
    return this.#mount(['-t', 'overlay', '-o', `ro,lowerdir=${folders.join(':')}`, 'overlay']);
  }

  /** A file system in memory that is full soon. */
  memory(size: string): string | undefined {
    return this.#mount(['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs']);
  }

  [Symbol.dispose](): void {
    const unmount = judge('umount');
    for (const place of this.#places.toReversed()) {
      // A failed look may have left a file open; nothing may stay mounted for that.
      if (unmount?.run([place]).status !== 0) unmount?.run(['--lazy', place]);
    }
  }

  #mount(args: readonly string[]): string | undefined {
    const mount = judge('mount');
    if (mount === undefined) return undefined;
    const place = this.#dir.file(`mounted-${this.#places.length}`);
    mkdirSync(place);
    const { status, stderr } = mount.run([...args, place]);
    if (status === 0) {
      this.#places.push(place);
      return place;
    }
    // Only what says that nothing can be mounted here excuses it: a refused image is a failure.
    if (/permission denied|unknown filesystem|failed to setup loop|must be superuser/i.test(stderr)) {
      return undefined;
    }
    throw new Error(`mount: ${stderr}`);
  }
}
