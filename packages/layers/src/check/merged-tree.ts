/** The files of an image as a container sees them: layers on top of each other, with what was learned of each file. */

import type { TarReadEntry } from '@osguard/formats/tar';
import { safePath } from '@osguard/formats/tar';
import { layerName } from '../convert/names.ts';
import type { ElfFacts } from './elf-evidence.ts';

export interface TreeFile {
  readonly kind: 'file' | 'directory' | 'symlink' | 'other';
  /** From 1. */
  readonly layer: number;
  readonly mode: number;
  /** Of a symlink. */
  readonly target: string;
  readonly capabilities: boolean;
  elf?: ElfFacts;
  /** The first line behind `#!`. */
  script?: string;
  /** Why the content could not be looked at. */
  unread?: string;
}

const mostLinks = 40;

export class MergedTree {
  /** By path without leading slash; '' is the root. */
  readonly #files = new Map<string, TreeFile>();
  #layer = 0;
  /** Paths that hide themselves and what is below them in lower layers. */
  #hidden = new Set<string>();
  /** Folders whose content in lower layers is hidden. */
  #opaque = new Set<string>();

  get files(): ReadonlyMap<string, TreeFile> {
    return this.#files;
  }

  beginLayer(): void {
    this.#layer += 1;
    this.#hidden = new Set();
    this.#opaque = new Set();
  }

  /** @returns the file to fill in; undefined for whiteouts and what is no regular file. @throws FormatError */
  add(entry: TarReadEntry): TreeFile | undefined {
    const name = layerName(entry);
    if (name.kind === 'bookkeeping') return undefined;
    if (name.kind === 'opaque') {
      this.#opaque.add(name.parent);
      return undefined;
    }
    const path = name.parent === '' ? name.name : `${name.parent}/${name.name}`;
    if (name.kind === 'whiteout') {
      this.#hidden.add(path);
      return undefined;
    }
    if (entry.kind !== 'directory') this.#hidden.add(path);
    if (entry.kind === 'hardlink') {
      const target = this.#files.get(safePath(entry.linkPath));
      if (target !== undefined) this.#files.set(path, { ...target, layer: this.#layer });
      return undefined;
    }
    const { kind } = entry;
    const file: TreeFile = {
      kind: kind === 'file' || kind === 'directory' || kind === 'symlink' ? kind : 'other',
      layer: this.#layer,
      mode: entry.mode,
      target: entry.linkPath,
      capabilities: entry.xattrs.has('security.capability'),
    };
    this.#files.set(path, file);
    return kind === 'file' ? file : undefined;
  }

  /** Takes away what this layer hides of those below. */
  endLayer(): void {
    if (this.#hidden.size === 0 && this.#opaque.size === 0) return;
    for (const [path, file] of this.#files) {
      if (file.layer < this.#layer && this.#isHidden(path)) this.#files.delete(path);
    }
  }

  /** The file a path leads to, through symlinks, and where it really is; undefined when it leads nowhere. */
  resolve(path: string): { readonly path: string; readonly file: TreeFile } | undefined {
    const parts = path.split('/');
    let at: string[] = [];
    for (let links = 0; parts.length > 0;) {
      const part = parts.shift() ?? '';
      if (part === '' || part === '.') continue;
      if (part === '..') {
        at.pop();
        continue;
      }
      const next = [...at, part];
      const file = this.#files.get(next.join('/'));
      if (file?.kind === 'symlink') {
        links += 1;
        if (links > mostLinks) return undefined;
        parts.unshift(...file.target.split('/'));
        if (file.target.startsWith('/')) at = [];
        continue;
      }
      // Archives need not list the folders above their files.
      if (file === undefined && parts.every((each) => each === '' || each === '.')) return undefined;
      at = next;
    }
    const found = at.join('/');
    const file = this.#files.get(found);
    return file === undefined ? undefined : { path: found, file };
  }

  #isHidden(path: string): boolean {
    if (this.#hidden.has(path)) return true;
    for (let slash = path.lastIndexOf('/'); slash >= 0; slash = path.lastIndexOf('/', slash - 1)) {
      const folder = path.slice(0, slash);
      if (this.#hidden.has(folder) || this.#opaque.has(folder)) return true;
      if (slash === 0) break;
    }
    return this.#opaque.has('');
  }
}
