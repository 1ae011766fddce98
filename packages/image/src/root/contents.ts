/** The archive that is handed into the namespace: files of packages, dpkg's database, packages for dpkg, scripts. */

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { TarHeaderEntry, TarReadEntry } from '@osguard/formats/tar';
import { createTarReader, encodeTarHeader, tarPadding } from '@osguard/formats/tar';

import { ImageError } from '../error.ts';
import type { Stage } from '../packages/index.ts';
import { ownStanza } from '../packages/index.ts';
import { fileStream } from './deb.ts';
import { dpkgExclusions, isExcluded } from './excluded.ts';
import type { InstallPlan, PlannedInstall } from './plan.ts';
import { triggersFor } from './plan.ts';
import { prefetched } from './prefetch.ts';
import type { RootTree } from '../tree/index.ts';
import { installScript, workFolder } from './script.ts';

export interface ContentsOptions {
  /** The first stage also makes dpkg's database. */
  readonly stage: Stage;
  /** Files are not dated later than this. Seconds since 1970. */
  readonly time: number;
  readonly signal?: AbortSignal | undefined;
  /** What earlier stages put into the root; awaited before anything is given out. */
  readonly present?: Promise<RootTree> | undefined;
  /** Called with the name of each package as it begins. */
  readonly onPackage?: (name: string) => void;
}

/** Chunks of a tar archive; the same plan gives the same bytes. */
export async function* rootContents(plan: InstallPlan, options: ContentsOptions): AsyncGenerator<Uint8Array> {
  const { time, signal } = options;
  const known = new Map<string, string>();
  const present = await options.present;
  for (const { path, node } of present?.walk() ?? [])
    known.set(path, node.type === 'directory' ? '' : 'another package');
  const packages = [...plan.placed, ...plan.bootstrap];
  // The links /bin, /lib, … and the directories of base-files come before anything that might take their place.
  packages.sort(
    (a, b) => Number(b.name === 'base-files') - Number(a.name === 'base-files') || (a.name < b.name ? -1 : 1),
  );
  const lists = new Map<string, string>();
  const placed: string[] = [];
  const streams = prefetched(
    packages.map(
      ({ deb }) =>
        () =>
          fileStream(deb, signal),
    ),
  );
  for (const entry of packages) {
    options.onPackage?.(entry.name);
    const list: string[] = [];
    const filter = new PackageFilter({ owner: entry.name, known, list, time });
    const next = streams.next();
    if (next.done === true) break;
    for await (const chunk of next.value) yield* filter.push(chunk);
    lists.set(entry.name, `${list.join('\n')}\n`);
    if (!plan.bootstrap.includes(entry)) for (const path of list) placed.push(path.slice(1));
  }
  for (const folder of [
    'var',
    'var/tmp',
    'var/lib',
    'usr/sbin',
    'etc',
    'etc/dpkg',
    'etc/dpkg/dpkg.cfg.d',
    workFolder,
    `${workFolder}/debs`,
    'proc',
    'sys',
    'dev',
  ]) {
    if (!known.has(folder)) yield encodeTarHeader({ ...directory(time), path: folder });
  }
  yield* database(plan, lists, options);
  yield* file(`${workFolder}/install.sh`, installScript(plan, triggersFor(plan, placed)), { time });
  for (const [index, { deb }] of plan.unpacked.entries()) {
    yield* fileOnDisk(`${workFolder}/debs/${String(index).padStart(4, '0')}.deb`, deb, time);
  }
  yield new Uint8Array(1024);
}

interface FilterOptions {
  readonly owner: string;
  /** Path to the package that placed it. */
  readonly known: Map<string, string>;
  readonly list: string[];
  readonly time: number;
}

/** Passes the entries of one package on, without what is excluded and without directories that are there already. */
class PackageFilter {
  readonly #out: Uint8Array[] = [];
  readonly #reader: ReturnType<typeof createTarReader>;

  constructor(options: FilterOptions) {
    let pass = false;
    this.#reader = createTarReader(
      {
        entry: (entry) => {
          pass = this.#entry(entry, options);
        },
        data: (bytes) => {
          if (pass) this.#out.push(bytes);
        },
        entryEnd: ({ size }) => {
          if (pass && size % 512 !== 0) this.#out.push(tarPadding(size));
        },
      },
      { lenientEnd: true },
    );
  }

  *push(chunk: Uint8Array): Generator<Uint8Array> {
    this.#reader.push(chunk);
    yield* this.#out;
    this.#out.length = 0;
  }

  #entry(entry: TarReadEntry, { owner, known, list, time }: FilterOptions): boolean {
    const path = cleanPath(entry.path, owner);
    list.push(path === '' ? '/.' : `/${path}`);
    if (path === '' || isExcluded(path, entry.kind === 'symlink')) return false;
    const first = known.get(path);
    if (first !== undefined && entry.kind === 'directory') return false;
    if (first !== undefined) {
      throw new ImageError('package', `/${path} is in both ${first} and ${owner}`, {
        hint: 'drop one of the two packages; osguard does not let one overwrite the other',
        data: { path, packages: [first, owner] },
      });
    }
    known.set(path, owner);
    const seconds = Math.min(entry.mtime.seconds, time);
    const linkPath = entry.kind === 'hardlink' ? cleanPath(entry.linkPath, owner) : entry.linkPath;
    this.#out.push(
      encodeTarHeader({ ...entry, path, linkPath, uname: '', gname: '', mtime: { seconds, nanoseconds: 0 } }),
    );
    return true;
  }
}

function cleanPath(path: string, owner: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw new ImageError('package', `${owner} has a file outside the root: ${path}`);
  return parts.join('/');
}

function directory(time: number): Omit<TarHeaderEntry, 'path'> {
  return { kind: 'directory', mode: 0o755, uid: 0, gid: 0, mtime: { seconds: time, nanoseconds: 0 } };
}

/** dpkg's own record of what was placed: `status`, and `info/` with scripts and file lists. */
function* database(
  plan: InstallPlan,
  lists: ReadonlyMap<string, string>,
  { stage, time }: ContentsOptions,
): Generator<Uint8Array> {
  const folder = 'var/lib/dpkg';
  for (const leaf of ['', '/info', '/updates', '/triggers', '/alternatives', '/parts']) {
    yield encodeTarHeader({ ...directory(time), path: folder + leaf });
  }
  if (stage === 'base') {
    yield* file('etc/dpkg/dpkg.cfg.d/osguard', dpkgExclusions(), { time });
    yield* file(`${folder}/info/format`, '1\n', { time });
    yield* file(`${folder}/available`, '', { time });
    yield* file(`${folder}/status`, `${ownStanza()}\n\n`, { time });
  }
  yield* file(`${workFolder}/placed`, statusOf(plan), { time });
  for (const entry of plan.placed) {
    const prefix = `${folder}/info/${infoName(entry)}`;
    yield* file(`${prefix}.list`, lists.get(entry.name) ?? '', { time });
    for (const [member, bytes] of entry.control.members) {
      if (member === 'shlibs' || member === 'symbols') continue;
      const isScript = /^(?:preinst|postinst|prerm|postrm|config)$/.test(member);
      if (isScript && plan.scriptless.has(entry.name)) continue;
      yield* file(`${prefix}.${member}`, bytes, { time, mode: isScript ? 0o755 : 0o644 });
    }
  }
}

/** `libc6:amd64` for packages of which several architectures may be installed at once. */
function infoName({ name, control }: PlannedInstall): string {
  const { fields } = control;
  return fields.get('multi-arch') === 'same' ? `${name}:${fields.get('architecture')}` : name;
}

/** Appended to the status file by the install script. */
function statusOf(plan: InstallPlan): string {
  return plan.placed.map(({ control }) => `${control.text}Status: install ok unpacked\n\n`).join('');
}

export interface FileOptions {
  readonly time: number;
  readonly mode?: number;
}

export function* file(
  path: string,
  content: string | Uint8Array,
  { time, mode = 0o644 }: FileOptions,
): Generator<Uint8Array> {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  const mtime = { seconds: time, nanoseconds: 0 };
  yield encodeTarHeader({ path, kind: 'file', mode, uid: 0, gid: 0, mtime, size: bytes.length });
  if (bytes.length > 0) yield bytes;
  if (bytes.length % 512 !== 0) yield tarPadding(bytes.length);
}

async function* fileOnDisk(path: string, from: string, time: number): AsyncGenerator<Uint8Array> {
  const { size } = await stat(from);
  const mtime = { seconds: time, nanoseconds: 0 };
  yield encodeTarHeader({ path, kind: 'file', mode: 0o644, uid: 0, gid: 0, mtime, size });
  const chunks: AsyncIterable<Buffer> = createReadStream(from, { highWaterMark: 1 << 20, end: size - 1 });
  yield* chunks;
  if (size % 512 !== 0) yield tarPadding(size);
}
