/** Trees for EROFS tests: one model that is written, read back, put on disk and compared. */

import fc from 'fast-check';
import type { ErofsMetadata, ErofsWriterOptions } from '@osguard/formats/erofs';
import { ErofsWriter, readErofs } from '@osguard/formats/erofs';
import type { ByteSource } from '@osguard/formats/bytes';

export interface ModelNode extends ErofsMetadata {
  readonly type: 'file' | 'directory' | 'symlink' | 'char' | 'block' | 'fifo' | 'socket' | 'link';
  readonly body?: Uint8Array;
  readonly target?: string;
  readonly major?: number;
  readonly minor?: number;
}

/** Absolute paths to nodes; parents before children, link targets before links. */
export type Model = ReadonlyMap<string, ModelNode>;

export const buildTime: number = 1_700_000_000;
export const metadata: ErofsMetadata = { mode: 0o644, uid: 0, gid: 0, mtime: buildTime, mtimeNsec: 0 };
const folder: ModelNode = { ...metadata, type: 'directory', mode: 0o755 };

export const text = (value: string): Uint8Array => new Uint8Array(Buffer.from(value));

/** Bytes that differ from block to block, so that swapped blocks are noticed. */
export function pattern(size: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 1) bytes[at] = (at * 7 + (at >> 9) * 13 + seed * 31) & 0xff;
  return bytes;
}

/** Collects what a writer puts out and insists on its promise: no gaps, one last write of the head. */
export class Collector {
  readonly pieces: Uint8Array[] = [];
  #end = 0;
  #head: Uint8Array | undefined;

  write(offset: number, bytes: Uint8Array): void {
    if (this.#head !== undefined) throw new Error('written after the head');
    if (offset === 0 && this.#end > 0) {
      this.#head = Uint8Array.from(bytes);
      return;
    }
    if (offset !== this.#end) throw new Error(`gap: ${this.#end} to ${offset}`);
    this.pieces.push(Uint8Array.from(bytes));
    this.#end += bytes.length;
  }

  image(): Buffer {
    const image = Buffer.concat(this.pieces);
    if (this.#head === undefined) throw new Error('no head');
    image.set(this.#head, 0);
    return image;
  }
}

/** The same with memory of its own, in windows of a size that fits nothing. */
export class DirectCollector extends Collector {
  #window = new Uint8Array(5000);
  #used = 0;
  #at = 0;

  space(): Uint8Array {
    return this.#window.subarray(this.#used);
  }

  commit(length: number): void {
    super.write(this.#at, this.#window.subarray(this.#used, this.#used + length));
    this.#at += length;
    this.#used += length;
    if (this.#used < this.#window.length) return;
    this.#window = new Uint8Array(5000);
    this.#used = 0;
  }
}

export function writeModel(
  model: Model,
  options: Partial<ErofsWriterOptions> = {},
  sink: Collector = new Collector(),
): Buffer {
  const writer = new ErofsWriter(sink, { uuid: pattern(16), buildTime, ...options });
  for (const [path, node] of model) addNode(writer, path, node);
  const { size } = writer.finish();
  const image = sink.image();
  if (image.length !== size) throw new Error(`${image.length} bytes written, ${size} announced`);
  return image;
}

function addNode(writer: ErofsWriter, path: string, node: ModelNode): void {
  const { type, body = new Uint8Array(0), target = '', major = 0, minor = 0 } = node;
  switch (type) {
    case 'link':
      writer.addLink(path, target);
      break;
    case 'file':
      writer.openFile(path, { ...node, type, size: body.length }).push(body);
      break;
    case 'symlink':
      writer.add(path, { ...node, type, target });
      break;
    case 'char':
    case 'block':
      writer.add(path, { ...node, type, major, minor });
      break;
    default:
      writer.add(path, { ...node, type });
  }
}

/** One line per path, everything that counts in it: what two trees are compared by. */
export type Listing = Record<string, string>;

export function listingOf(model: Model): Listing {
  const listing: Listing = {};
  const links = new Map<string, number>();
  for (const [path, node] of model) {
    const name = node.type === 'link' ? (node.target ?? '') : path;
    links.set(name, (links.get(name) ?? 0) + 1);
    if (node.type !== 'directory' || path === '/') continue;
    const parent = path.slice(0, path.lastIndexOf('/')) || '/';
    links.set(parent, (links.get(parent) ?? 0) + 1);
  }
  for (const [path, entry] of model) {
    const original = entry.type === 'link' ? (entry.target ?? '') : path;
    const node = model.get(original);
    if (node === undefined) throw new Error(`${original} is missing`);
    const nlink = (links.get(original) ?? 0) + (node.type === 'directory' ? 1 : 0);
    listing[path] = describeNode({ ...node, nlink, xattrs: node.xattrs ?? new Map() });
  }
  return listing;
}

export interface Described extends ModelNode {
  readonly nlink: number;
}

export function describeNode(node: Described): string {
  const { type, mode, uid, gid, mtime, mtimeNsec = 0, nlink } = node;
  const words = [type, mode.toString(8), `${uid}:${gid}`, `${mtime}.${mtimeNsec}`, `links=${nlink}`];
  if (type === 'file') words.push(`body=${digest(node.body ?? new Uint8Array(0))}`);
  if (type === 'symlink') words.push(`target=${JSON.stringify(node.target)}`);
  if (type === 'char' || type === 'block') words.push(`device=${node.major}:${node.minor}`);
  for (const [name, value] of [...(node.xattrs ?? [])].sort(([a], [b]) => (a < b ? -1 : 1))) {
    words.push(`${name}=${Buffer.from(value).toString('base64')}`);
  }
  return words.join(' ');
}

/** Size and an FNV-1a hash: enough to tell test bodies apart. */
export function digest(bytes: Uint8Array): string {
  let hash = 0x811c_9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x0100_0193);
  return `${bytes.length}/${(hash >>> 0).toString(16)}`;
}

export function listingOfImage(source: ByteSource): Listing {
  const image = readErofs(source);
  const listing: Listing = {};
  for (const { path, node } of image.walk()) {
    listing[path] = describeNode({
      ...node,
      ...(node.type === 'file'
        ? { body: Buffer.concat([...image.chunks(node, 5000)].map((c) => Buffer.from(c))) }
        : {}),
      ...(node.type === 'symlink' ? { target: image.symlinkTarget(node) } : {}),
      ...(node.type === 'char' || node.type === 'block' ? image.device(node) : {}),
      xattrs: image.xattrs(node),
    });
  }
  return listing;
}

const label = (type: string): readonly [string, Uint8Array] => [
  'security.selinux',
  text(`system_u:object_r:${type}:s0\0`),
];
/** cap_net_raw=ep, revision 2. */
const capability = Uint8Array.from([1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
/** u::rw- u:1000:rw- g::r-- m::rw- o::r-- */
const acl = Uint8Array.from(
  [2, 0, 0, 0]
    .concat([1, 0, 6, 0, 255, 255, 255, 255], [2, 0, 6, 0, 0xe8, 3, 0, 0], [4, 0, 4, 0, 255, 255, 255, 255])
    .concat([16, 0, 6, 0, 255, 255, 255, 255], [32, 0, 4, 0, 255, 255, 255, 255]),
);

/** A bit of everything the format can hold and Linux can mount. */
export function richModel(): Model {
  const model = new Map<string, ModelNode>();
  model.set('/', { ...folder, mtime: 1_600_000_000, xattrs: new Map([label('root_t')]) });
  const sizes = [
    0,
    1,
    100,
    3900,
    4031,
    4032,
    4033,
    4095,
    4096,
    4097,
    8191,
    8192,
    12_288 + 77,
    70_000,
    300_001,
  ];
  model.set('/sizes', folder);
  for (const size of sizes) {
    const xattrs = new Map([label(size % 2 === 0 ? 'usr_t' : 'lib_t')]);
    model.set(`/sizes/${size}`, { ...metadata, type: 'file', body: pattern(size, size), xattrs });
  }
  model.set('/ids', {
    ...metadata,
    type: 'file',
    uid: 65_536,
    gid: 4_294_967_294,
    mode: 0o4755,
    body: text('ids'),
  });
  model.set('/old', { ...metadata, type: 'file', mtime: 86_400, mtimeNsec: 999_999_999, body: text('1970') });
  model.set('/ids-link', { ...metadata, type: 'link', target: '/ids' });
  model.set('/sizes/ids-link', { ...metadata, type: 'link', target: '/ids' });
  model.set('/short', { ...metadata, type: 'symlink', mode: 0o777, target: 'sizes/100' });
  model.set('/long', { ...metadata, type: 'symlink', mode: 0o777, target: `/${'x/'.repeat(2000)}` });
  model.set('/longest', { ...metadata, type: 'symlink', mode: 0o777, target: 'y'.repeat(4095) });
  model.set('/dev', { ...folder, mode: 0o1777 });
  model.set('/dev/null', { ...metadata, type: 'char', mode: 0o666, major: 1, minor: 3 });
  model.set('/dev/big', { ...metadata, type: 'block', mode: 0o660, major: 4095, minor: 1_048_575 });
  model.set('/dev/pipe', { ...metadata, type: 'fifo' });
  model.set('/dev/socket', { ...metadata, type: 'socket' });
  model.set('/many', folder);
  for (let index = 0; index < 400; index += 1) {
    model.set(`/many/${index}-${'n'.repeat(index % 60)}`, {
      ...metadata,
      type: 'file',
      xattrs: new Map([label('many_t')]),
    });
  }
  model.set('/order', folder);
  for (const name of [
    '-',
    '+',
    '!',
    '...',
    '.a',
    '..b',
    'a',
    'B',
    'é',
    '\u{1f600}',
    '\uffee',
    'x\udcff',
    'z'.repeat(255),
  ]) {
    model.set(`/order/${name}`, { ...metadata, type: 'file', body: text(name.slice(0, 1)) });
  }
  model.set('/xattrs', { ...folder, xattrs: new Map([['system.posix_acl_default', acl], label('etc_t')]) });
  model.set('/xattrs/ping', {
    ...metadata,
    type: 'file',
    mode: 0o755,
    body: pattern(5000),
    xattrs: new Map([['security.capability', capability], label('bin_t')]),
  });
  model.set('/xattrs/acl', {
    ...metadata,
    type: 'file',
    mode: 0o664,
    xattrs: new Map([['system.posix_acl_access', acl]]),
  });
  const many: [string, Uint8Array][] = [];
  for (let index = 0; index < 300; index += 1) many.push([`user.number-${index}`, text(String(index))]);
  model.set('/xattrs/many', { ...metadata, type: 'file', body: text('300 of them'), xattrs: new Map(many) });
  model.set('/xattrs/many-too', { ...metadata, type: 'file', xattrs: new Map(many) });
  model.set('/xattrs/big', {
    ...metadata,
    type: 'file',
    body: pattern(100),
    xattrs: new Map([
      ['trusted.big', pattern(3000)],
      ['user.empty', text('')],
      ['trusted.overlay.opaque', text('y')],
    ]),
  });
  return model;
}

const names = fc.oneof(
  fc.constantFrom('a', 'b', 'B', '!', '...', 'é', '\u{1f600}', '\ue000', 'bad\udcfe', 'n'.repeat(255)),
  fc.string({ minLength: 1, maxLength: 12, unit: fc.constantFrom('a', 'b', '-', '.', ' ', '\n', 'ü') }),
);
const legalNames = names.filter((name) => name !== '.' && name !== '..');

const xattrs = fc.uniqueArray(
  fc.constantFrom<readonly [string, Uint8Array]>(
    label('usr_t'),
    ['security.capability', capability],
    ['system.posix_acl_access', acl],
    ['user.x', text('')],
    ['user.y', pattern(700)],
    ['trusted.huge', pattern(40_000)],
  ),
  { selector: ([name]) => name, maxLength: 4 },
);

const attributes = fc.record({
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.constantFrom(0, 1000, 65_535, 65_536, 4_294_967_295),
  gid: fc.constantFrom(0, 65_536),
  mtime: fc.constantFrom(buildTime, buildTime - 1, -1, 0, 2 ** 40),
  mtimeNsec: fc.constantFrom(0, 0, 1, 999_999_999),
  xattrs: xattrs.map((list) => new Map(list)),
});

const bodies = fc
  .tuple(
    fc.constantFrom(0, 1, 400, 511, 512, 960, 3300, 4000, 4032, 4095, 4096, 5000, 8192, 66_000),
    fc.nat(99),
  )
  .map(([size, seed]) => pattern(size, seed));

const kinds: fc.Arbitrary<Partial<ModelNode> & Pick<ModelNode, 'type'>> = fc.oneof(
  { weight: 4, arbitrary: bodies.map((body) => ({ type: 'file' as const, body })) },
  { weight: 3, arbitrary: fc.constant({ type: 'directory' as const }) },
  {
    weight: 1,
    arbitrary: fc
      .integer({ min: 1, max: 4095 })
      .map((size) => ({ type: 'symlink' as const, target: 't'.repeat(size) })),
  },
  { weight: 1, arbitrary: fc.constantFrom<ModelNode['type']>('fifo', 'socket').map((type) => ({ type })) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom('char', 'block'), fc.nat(4095), fc.nat(1_048_575))
      .map(([type, major, minor]) => ({ type: type as 'char', major, minor })),
  },
  { weight: 1, arbitrary: fc.constant({ type: 'link' as const }) },
);

/** Trees whose shape is chosen by numbers: `parent` picks a directory, or a link's target, among what is there. */
export const models: fc.Arbitrary<Model> = fc
  .tuple(attributes, fc.array(fc.tuple(fc.nat(), legalNames, attributes, kinds), { maxLength: 60 }))
  .map(([root, list]) => {
    const model = new Map<string, ModelNode>([['/', { ...root, type: 'directory' }]]);
    for (const [pick, name, given, kind] of list) {
      const directories = [...model].filter(([, node]) => node.type === 'directory').map(([path]) => path);
      const parent = directories[pick % directories.length] ?? '/';
      const path = `${parent === '/' ? '' : parent}/${name}`;
      if (model.has(path)) continue;
      if (kind.type !== 'link') {
        model.set(path, { ...given, ...kind });
        continue;
      }
      const targets = [...model]
        .filter(([, node]) => node.type !== 'directory' && node.type !== 'link')
        .map(([to]) => to);
      const target = targets[pick % targets.length];
      if (target !== undefined) model.set(path, { ...given, ...kind, target });
    }
    return model;
  });
