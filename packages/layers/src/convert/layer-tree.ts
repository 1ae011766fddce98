/**
 * The rules by which entries of a layer become files of an image: docs/layer-format.md, "From entries to files".
 * Nothing here touches a file of this machine: names, links and devices exist in the image only.
 */

import { FormatError } from '@osguard/formats/bytes';
import type {
  ErofsFileWriter,
  ErofsMetadata,
  ErofsOtherEntry,
  ErofsSummary,
  ErofsWriter,
} from '@osguard/formats/erofs';
import type { TarReadEntry, TarSink } from '@osguard/formats/tar';
import { safePath } from '@osguard/formats/tar';
import { metadataOf, XattrFilter } from './attributes.ts';
import type { Budget } from './budget.ts';
import { joinName, layerName } from './names.ts';
import type { DroppedXattr } from './types.ts';

/** As many symlinks as Linux follows on one path; and bounds for the work a hostile path makes. */
const maxFollowed = 40;
const maxClimbed = 64;
const maxDepth = 2048;

const opaque = { name: 'trusted.overlay.opaque', value: Uint8Array.of(0x79) };

/** Of directories nobody described: root's, and made in 1970. */
const implicit = { type: 'directory', mode: 0o755, uid: 0, gid: 0, mtime: 0 } as const;

export class LayerTree implements TarSink {
  readonly #writer: ErofsWriter;
  readonly #budget: Budget;
  readonly #filter = new XattrFilter();
  /** Paths of directories that hide what lower layers have in them. */
  readonly #opaque = new Set<string>();
  /** Paths that hide what lower layers have there. */
  readonly #whiteouts = new Set<string>();
  #body: ErofsFileWriter | undefined;
  /** The directory that was looked for last, as it was named and as it was found. */
  #last = { named: '', found: '' };

  constructor(writer: ErofsWriter, budget: Budget) {
    this.#writer = writer;
    this.#budget = budget;
  }

  get dropped(): readonly DroppedXattr[] {
    return this.#filter.dropped;
  }

  entry(entry: TarReadEntry): void {
    try {
      this.#take(entry);
    } catch (cause) {
      // The writer knows what cannot be stored, but not where in the archive it is.
      if (!(cause instanceof FormatError) || cause.offset !== undefined) throw cause;
      throw new FormatError(cause.code, cause.message, { offset: entry.offset, cause });
    }
  }

  data(bytes: Uint8Array): void {
    this.#body?.push(bytes);
  }

  entryEnd(): void {
    this.#body = undefined;
  }

  /** Adds whiteouts and marks opaque directories, which no order of entries has a say in, and ends the image. */
  finish(): ErofsSummary {
    for (const path of this.#whiteouts) {
      const found = this.#probe(path);
      // What the layer itself has there hides the lower file already; of directories, both would be seen.
      if (found === 'directory') this.#opaque.add(path);
      // A later entry may have taken the whiteout's directory away.
      const parent = path.slice(0, Math.max(path.lastIndexOf('/'), 0));
      if (found !== 'missing' || this.#probe(parent) !== 'directory') continue;
      this.#writer.add(path, { type: 'char', major: 0, minor: 0, mode: 0, uid: 0, gid: 0, mtime: 0 });
    }
    for (const path of this.#opaque) {
      if (this.#probe(path) === 'directory') this.#writer.setDirectoryXattr(path, opaque.name, opaque.value);
    }
    return this.#writer.finish();
  }

  #take(entry: TarReadEntry): void {
    this.#body = undefined;
    const name = layerName(entry);
    this.#budget.node(costOf(entry));
    switch (name.kind) {
      case 'bookkeeping':
        return;
      case 'opaque':
        this.#opaque.add(this.#directory(name.parent, entry.offset));
        return;
      case 'whiteout':
        this.#whiteouts.add(joinName(this.#directory(name.parent, entry.offset), name.name));
        return;
      case 'entry':
        break;
    }
    if (name.name === '' && entry.kind !== 'directory') {
      throw new FormatError('malformed', `the root is a ${entry.kind}`, { offset: entry.offset });
    }
    this.#add(joinName(this.#directory(name.parent, entry.offset), name.name), entry);
  }

  #add(path: string, entry: TarReadEntry): void {
    const { kind } = entry;
    // Before the old file goes: a link to the name it takes has nothing to point at.
    const target = kind === 'hardlink' ? this.#linkTarget(path, entry) : '';
    this.#makeRoom(path, kind === 'directory');
    if (kind === 'hardlink') {
      this.#writer.addLink(path, target);
      return;
    }
    const metadata = metadataOf(entry, this.#filter);
    if (kind === 'file') {
      const body = this.#writer.openFile(path, { ...metadata, type: 'file', size: entry.size });
      if (entry.size > 0) this.#body = body;
      return;
    }
    this.#writer.add(path, otherEntry(entry, metadata));
    if (kind === 'symlink') this.#forgetDirectory();
  }

  /** The last entry of a name wins; a directory that is described again keeps what is in it. */
  #makeRoom(path: string, forDirectory: boolean): void {
    const found = this.#probe(path);
    if (found === 'missing' || (found === 'directory' && forDirectory)) return;
    this.#writer.remove(path);
    this.#forgetDirectory();
  }

  #linkTarget(path: string, { linkPath, offset }: TarReadEntry): string {
    const safe = safePath(linkPath, offset);
    const slash = safe.lastIndexOf('/');
    const name = safe.slice(slash + 1);
    const found = this.#existingDirectory(safe.slice(0, Math.max(slash, 0)), offset);
    const target = found === undefined ? undefined : joinName(found, name);
    const type = target === undefined ? 'missing' : this.#probe(target);
    if (target === undefined || type === 'missing' || type === 'directory' || target === path) {
      const why = target === path ? 'itself' : type === 'directory' ? 'a directory' : 'no earlier entry';
      const text = `${JSON.stringify(path)} is a hard link to ${JSON.stringify(linkPath.slice(0, 200))}`;
      throw new FormatError('malformed', `${text}, which is ${why} of this layer`, { offset });
    }
    return target;
  }

  #probe(path: string): 'missing' | 'directory' | 'other' {
    const names = path === '' ? [] : path.split('/');
    const { depth, type } = this.#writer.probe(names);
    if (depth < names.length) return 'missing';
    return type === 'directory' ? 'directory' : 'other';
  }

  #forgetDirectory(): void {
    this.#last = { named: '', found: '' };
  }

  /** Where a directory of that name is, directories on the way made, symlinks of this layer followed. */
  #directory(named: string, offset: number): string {
    if (named === this.#last.named) return this.#last.found;
    const names = this.#follow(named, offset);
    const { depth } = this.#writer.probe(names);
    for (const name of names.slice(depth)) this.#budget.node(name.length);
    const found = names.join('/');
    // The writer makes directories on the way to a file; whiteouts and opaque marks may be all there is.
    if (depth < names.length) this.#writer.add(found, implicit);
    this.#last = { named, found };
    return found;
  }

  #existingDirectory(named: string, offset: number): string | undefined {
    const names = this.#follow(named, offset);
    return this.#writer.probe(names).depth === names.length ? names.join('/') : undefined;
  }

  /** The components of a directory's real path. As in a chroot, nothing leads out of the layer. */
  #follow(named: string, offset: number): readonly string[] {
    let names: string[] = [];
    let rest = partsOf(named);
    let followed = 0;
    let climbed = 0;
    while (rest.length > 0) {
      const up = rest.indexOf('..');
      const run = up < 0 ? rest : rest.slice(0, up);
      const tried = [...names, ...run];
      const { depth, type, target } = this.#writer.probe(tried);
      const refuse = (why: string): FormatError => {
        const where = JSON.stringify(tried.slice(0, depth).join('/'));
        return new FormatError('malformed', `${JSON.stringify(named)}: ${where} ${why}`, { offset });
      };
      if (type === 'directory') {
        names = up < 0 ? tried : tried.slice(0, -1);
        rest = up < 0 ? [] : rest.slice(up + 1);
        climbed += 1;
      } else if (target === undefined) {
        throw refuse(`is a ${type}, not a directory`);
      } else {
        rest = [...partsOf(target), ...rest.slice(depth - names.length)];
        names = target.startsWith('/') ? [] : tried.slice(0, depth - 1);
        followed += 1;
      }
      if (followed > maxFollowed || climbed > maxClimbed || names.length + rest.length > maxDepth) {
        throw refuse('leads through too many symlinks');
      }
    }
    return names;
  }
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

function otherEntry(entry: TarReadEntry, metadata: ErofsMetadata): ErofsOtherEntry {
  const { kind, major, minor, linkPath } = entry;
  switch (kind) {
    case 'symlink':
      return { ...metadata, type: 'symlink', target: linkPath };
    case 'character-device':
      return { ...metadata, type: 'char', major, minor };
    case 'block-device':
      return { ...metadata, type: 'block', major, minor };
    case 'directory':
    case 'fifo':
      return { ...metadata, type: kind };
    case 'file':
    case 'hardlink':
      break;
  }
  throw new Error(`a ${kind} is added otherwise`);
}

function costOf({ path, linkPath, xattrs }: TarReadEntry): number {
  let cost = path.length + linkPath.length;
  // Kept as bytes, as the key that finds equal ones, and in the key of the set.
  for (const [name, value] of xattrs) cost += 4 * (name.length + value.length);
  return cost;
}
