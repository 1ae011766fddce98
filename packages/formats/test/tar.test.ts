import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeText, sourceOf } from '@osguard/formats/bytes';
import { readTar, readTarStream, safePath, writeTar } from '@osguard/formats/tar';
import type { TarReadEntry, TarReaderOptions, TarWriteEntry } from '@osguard/formats/tar';

interface Loaded {
  readonly entry: TarReadEntry;
  readonly body: Buffer;
}

/** All of an archive, cut into chunks of one size. */
function load(bytes: Uint8Array, chunkSize = 65_536, options: TarReaderOptions = {}): readonly Loaded[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += chunkSize) chunks.push(bytes.subarray(at, at + chunkSize));
  const loaded: Loaded[] = [];
  let pieces: Uint8Array[] = [];
  for (const event of readTar(chunks, options)) {
    if (event.type === 'entry') pieces = [];
    else if (event.type === 'data') pieces.push(event.bytes);
    else loaded.push({ entry: event.entry, body: Buffer.concat(pieces) });
  }
  return loaded;
}

function archive(entries: readonly TarWriteEntry[]): Buffer {
  return Buffer.concat([...writeTar(entries)].map((chunk) => Uint8Array.from(chunk)));
}

const time = { seconds: 1_700_000_000, nanoseconds: 0 };
const base = { mode: 0o644, uid: 0, gid: 0, mtime: time };
const file = (path: string, more: Partial<TarWriteEntry> = {}): TarWriteEntry => ({
  ...base,
  path,
  kind: 'file',
  ...more,
});
const text = (value: string) => sourceOf(Buffer.from(value));

/** Names that are any bytes. */
const bytesAsText = fc.uint8Array({ minLength: 1, maxLength: 60 }).map(decodeText);
const part = fc.oneof(fc.string({ minLength: 1, maxLength: 60, unit: 'binary' }), bytesAsText);
const name = fc
  .array(part, { minLength: 1, maxLength: 6 })
  .map((parts) => parts.map((piece) => piece.replaceAll(/[/\0]/g, '_')).join('/'));
const id = fc.oneof(fc.nat(70_000), fc.nat(2 ** 31 - 1), fc.constant(2 ** 32 - 2));
const entry: fc.Arbitrary<TarWriteEntry> = fc
  .record({
    path: name,
    kind: fc.constantFrom<TarWriteEntry['kind'][]>(
      'file',
      'directory',
      'symlink',
      'hardlink',
      'fifo',
      'block-device',
      'character-device',
    ),
    mode: fc.nat(0o7777),
    uid: id,
    gid: id,
    uname: fc.constantFrom('', 'root', 'jürgen', 'a-name-longer-than-thirty-one-characters'),
    gname: fc.constantFrom('', 'root'),
    seconds: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
    nanoseconds: fc.oneof(fc.constant(0), fc.nat(999_999_999)),
    link: name,
    device: fc.tuple(fc.nat(2 ** 20), fc.nat(2 ** 20)),
    body: fc.uint8Array({ maxLength: 1500 }),
    xattrs: fc.dictionary(
      fc.constantFrom('user.a', 'user.ä b', 'security.selinux', 'security.capability'),
      fc.uint8Array({ maxLength: 40 }),
    ),
  })
  .map(({ link, device, body, xattrs, seconds, nanoseconds, ...rest }) => ({
    ...rest,
    mtime: { seconds, nanoseconds },
    linkPath: rest.kind === 'symlink' || rest.kind === 'hardlink' ? link : '',
    major: rest.kind.endsWith('device') ? device[0] : 0,
    minor: rest.kind.endsWith('device') ? device[1] : 0,
    xattrs: new Map(Object.entries(xattrs)),
    ...(rest.kind === 'file' ? { body: sourceOf(body) } : {}),
  }));

test('any entries go round, in chunks of any size', () => {
  fc.assert(
    fc.property(
      fc.array(entry, { maxLength: 6 }),
      fc.constantFrom(1, 7, 511, 512, 513, 4096),
      (entries, chunk) => {
        const bytes = archive(entries);
        const read = load(bytes, chunk);
        assert.equal(read.length, entries.length);
        for (const [i, { body, ...wanted }] of entries.entries()) {
          const { entry: found, body: data } = read[i] as Loaded;
          const { size, offset, bodyOffset, ignored, ...rest } = found;
          assert.deepEqual(rest, wanted);
          assert.deepEqual(ignored, []);
          assert.equal(size, body?.size ?? 0);
          assert.deepEqual([...data], [...(body?.read(0, body.size) ?? [])]);
          assert.deepEqual([...bytes.subarray(bodyOffset, bodyOffset + size)], [...data]);
          assert.equal(offset % 512, 0);
        }
      },
    ),
  );
});

test('bodies are views of the chunks', () => {
  const bytes = archive([file('a', { body: sourceOf(new Uint8Array(5000)) })]);
  for (const event of readTar([bytes])) {
    if (event.type === 'data') assert.equal(event.bytes.buffer, bytes.buffer);
  }
});

test('a stream gives the same events', async () => {
  const bytes = archive([file('a', { body: text('hello') }), file('b')]);
  const stream = (async function* chunks(): AsyncGenerator<Uint8Array> {
    yield bytes.subarray(0, 700);
    yield bytes.subarray(700);
  })();
  const seen: string[] = [];
  for await (const event of readTarStream(stream)) {
    seen.push(
      event.type === 'data' ? Buffer.from(event.bytes).toString() : `${event.type} ${event.entry.path}`,
    );
  }
  assert.deepEqual(seen, ['entry a', 'hello', 'entry-end a', 'entry b', 'entry-end b']);
});

/** One header block, checksum right; `edits` are written over it first. */
function block(edits: Readonly<Record<number, string | Uint8Array>> = {}): Buffer {
  const bytes = Buffer.from(archive([file('name')]).subarray(0, 512));
  for (const [at, value] of Object.entries(edits)) bytes.set(Buffer.from(value as Uint8Array), Number(at));
  bytes.fill(' ', 148, 156);
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return bytes;
}

const end = Buffer.alloc(1024);
const octal = (value: number) => `${value.toString(8).padStart(11, '0')}\0`;

function padded(value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value as Uint8Array);
  return Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

/** An extension header and its body. */
function extension(flag: string, value: string | Uint8Array): Buffer {
  const size = Buffer.from(value as Uint8Array).length;
  return Buffer.concat([block({ 156: flag, 124: octal(size) }), padded(value)]);
}

function pax(...pairs: readonly (readonly [string, string])[]): string {
  return pairs
    .map(([keyword, value]) => {
      const rest = ` ${keyword}=${value}\n`;
      const length = Buffer.byteLength(rest);
      const digits = String(length + String(length).length).length;
      return `${length + digits}${rest}`;
    })
    .join('');
}

function one(...pieces: readonly Uint8Array[]): TarReadEntry {
  const [first] = load(Buffer.concat([...pieces, end]));
  assert.ok(first);
  return first.entry;
}

/** The number in a field, read as modification time. */
function numeric(field: string | Uint8Array): number {
  return one(block({ 136: field })).mtime.seconds;
}

test('numbers: octal, blank, base 256', () => {
  assert.equal(numeric('00000000017\0'), 15);
  assert.equal(numeric('         17 '), 15);
  assert.equal(numeric('\0'.repeat(12)), 0);
  assert.equal(numeric('17\0garbage  '), 15);
  assert.equal(numeric(Uint8Array.of(0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1)), 2 ** 33 + 1);
  assert.equal(numeric(new Uint8Array(12).fill(0xff)), -1);
  assert.throws(() => numeric('0000000008\0\0'), { code: 'malformed', offset: 136 });
  assert.throws(() => numeric(Uint8Array.of(0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)), /larger than any real/);
  assert.throws(() => one(block({ 108: new Uint8Array(8).fill(0xff) })), /uid: -1/);
});

test('old and GNU forms', () => {
  const v7 = { 257: new Uint8Array(8), 156: '\0' };
  assert.equal(one(block({ ...v7, 0: 'folder/\0' })).kind, 'directory');
  assert.equal(one(block({ ...v7, 345: 'not a prefix' })).path, 'name');
  assert.equal(one(block({ 257: 'ustar  \0', 345: '12345670123' })).path, 'name');
  assert.equal(one(block({ 345: 'prefix' })).path, 'prefix/name');
  assert.equal(one(block({ 156: '7' })).kind, 'file');
  const long = 'd/'.repeat(200) + 'f';
  const gnu = [extension('L', `${long}\0`), extension('K', 'target\0'), block({ 156: '2' })];
  const { path, linkPath, offset, bodyOffset } = one(...gnu);
  assert.deepEqual([path, linkPath, offset, bodyOffset], [long, 'target', 0, 2560]);
  // A volume label is not a file.
  assert.equal(one(block({ 156: 'V', 0: 'label\0' }), block()).path, 'name');
});

test('pax values count before the header block, global ones before neither', () => {
  const local = pax(
    ['path', 'ä/b'],
    ['uid', '4000000000'],
    ['mtime', '-1.25'],
    ['SCHILY.acl.access', 'user::rw-'],
  );
  const global = pax(['uid', '7'], ['gname', 'staff'], ['comment', 'x']);
  const found = one(extension('g', global), extension('x', local), block());
  assert.equal(found.path, 'ä/b');
  assert.equal(found.uid, 4_000_000_000);
  assert.equal(found.gname, 'staff');
  assert.deepEqual(found.mtime, { seconds: -2, nanoseconds: 750_000_000 });
  assert.deepEqual(found.ignored, ['SCHILY.acl.access']);
  const xattrs = pax(
    ['SCHILY.xattr.user.bin', '\n=\u0000'],
    ['LIBARCHIVE.xattr.user.bin', 'Cj0A'],
    ['LIBARCHIVE.xattr.user.a%20b', 'aGk='],
  );
  assert.deepEqual(
    [...one(extension('x', xattrs), block()).xattrs].map(([key, value]) => [
      key,
      Buffer.from(value).toString(),
    ]),
    [
      ['user.bin', '\n=\u0000'],
      ['user.a b', 'hi'],
    ],
  );
  assert.equal(one(extension('x', pax(['path', 'x'], ['path', ''])), block()).path, 'name');
  const sized = Buffer.concat([extension('x', pax(['size', '3'])), block(), padded('abc'), end]);
  assert.equal(load(sized)[0]?.body.toString(), 'abc');
});

test('what has no one safe reading is refused', () => {
  const cases: readonly (readonly [string, readonly Uint8Array[], string])[] = [
    ['old GNU sparse', [block({ 156: 'S' })], 'unsupported'],
    ['pax sparse 0.x', [extension('x', pax(['GNU.sparse.map', '0,1'])), block()], 'unsupported'],
    ['pax sparse 1.0', [extension('x', pax(['GNU.sparse.major', '1'])), block()], 'unsupported'],
    ['star sparse', [extension('x', pax(['SCHILY.realsize', '1'])), block()], 'unsupported'],
    ['multi volume', [block({ 156: 'M' })], 'unsupported'],
    ['unknown type', [block({ 156: 'Z' })], 'unsupported'],
    ['hard link with data', [block({ 156: '1', 157: 'x', 124: octal(1) }), padded('a')], 'unsupported'],
    ['global path', [extension('g', pax(['path', 'a'])), block()], 'unsupported'],
    ['two pax headers', [extension('x', ''), extension('x', ''), block()], 'malformed'],
    ['pax and GNU name', [extension('x', pax(['path', 'a'])), extension('L', 'b'), block()], 'malformed'],
    ['extension at the end', [extension('L', 'b')], 'malformed'],
    ['empty name', [block({ 0: '\0' })], 'malformed'],
    ['link without target', [block({ 156: '2' })], 'malformed'],
    ['NUL in pax name', [extension('x', pax(['path', 'a\0b'])), block()], 'malformed'],
    ['pax length', [extension('x', '99 path=a\n'), block()], 'malformed'],
    ['pax newline', [extension('x', '9 path=ab'), block()], 'malformed'],
    ['pax number', [extension('x', pax(['uid', '-1'])), block()], 'malformed'],
    ['pax time', [extension('x', pax(['mtime', '1e9'])), block()], 'malformed'],
    [
      'pax attribute twice',
      [extension('x', pax(['SCHILY.xattr.a', 'x'], ['SCHILY.xattr.a', 'y'])), block()],
      'malformed',
    ],
    ['huge extension', [block({ 156: 'x', 124: octal(2 ** 21) })], 'too-large'],
    ['zero block inside', [Buffer.alloc(512), block()], 'malformed'],
  ];
  for (const [what, pieces, code] of cases) {
    assert.throws(() => one(...pieces), { name: 'FormatError', code }, what);
  }
});

test('checksums, cut archives and what follows the end', () => {
  const good = archive([file('a', { body: text('hello') })]);
  const bad = Buffer.from(good);
  bad[3] = 1;
  assert.throws(() => load(bad), { code: 'not-this-format', offset: 148 });
  const second = Buffer.concat([good.subarray(0, 1024), Buffer.alloc(512, 'x'), end]);
  assert.throws(() => load(second), { code: 'checksum', offset: 1024 + 148 });
  for (const length of [0, 1, 511, 512, 514, 600, 1024, 1100, 1536, 2047]) {
    assert.throws(() => load(good.subarray(0, length)), { code: 'truncated', offset: length }, `${length}`);
  }
  const lenient = { lenientEnd: true };
  for (const length of [0, 1024, 1536]) {
    assert.ok(load(good.subarray(0, length), 100, lenient));
  }
  for (const length of [600, 1100, 1600]) {
    assert.throws(() => load(good.subarray(0, length), 100, lenient), { code: 'truncated' });
  }
  assert.equal(load(Buffer.concat([good, Buffer.alloc(9000)])).length, 1);
  const tail = Buffer.concat([good, Buffer.alloc(100), Buffer.from('x')]);
  assert.throws(() => load(tail), { code: 'malformed', offset: good.length + 100 });
  assert.equal(load(tail, 100, lenient).length, 1);
});

test('what no header can say is not written', () => {
  const cases: readonly TarWriteEntry[] = [
    file(''),
    file('a/'),
    file('a\0'),
    file('\ud800'),
    file('a', { kind: 'directory', body: text('x') }),
    file('a', { kind: 'symlink' }),
    file('a', { linkPath: 'b' }),
    file('a', { mode: 0o100644 }),
    file('a', { uid: -1 }),
    file('a', { mtime: { seconds: 0, nanoseconds: 1e9 } }),
    file('a', { xattrs: new Map([['user.a=b', new Uint8Array()]]) }),
  ];
  for (const broken of cases) assert.throws(() => archive([broken]), { code: 'not-encodable' }, broken.path);
});

test('safe paths stay inside', () => {
  assert.equal(safePath('./a//b/./c/'), 'a/b/c');
  assert.equal(safePath('.'), '');
  assert.equal(safePath('..a/b..'), '..a/b..');
  for (const path of ['/a', '..', 'a/../../b', 'a/..', 'a\0b', 'x'.repeat(256), 'x/'.repeat(2048)]) {
    assert.throws(() => safePath(path, 7), { code: 'malformed', offset: 7 });
  }
});
