import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  ByteReader,
  ByteWriter,
  decodeText,
  encodeText,
  FormatError,
  fromHex,
  segmentSource,
  sliceSource,
  sourceOf,
  toHex,
} from '@osguard/formats/bytes';

test('what the writer writes the reader reads, in both byte orders', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('little' as const, 'big' as const),
      fc.nat(0xff),
      fc.nat(0xffff),
      fc.nat(0xffff_ffff),
      fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }),
      fc.uint8Array({ maxLength: 600 }),
      (endian, a, b, c, d, e) => {
        const bytes = new ByteWriter({ endian, capacity: 1 }).u8(a).u16(b).u32(c).u64(d).bytes(e).finish();
        const reader = new ByteReader(bytes, { endian });
        assert.equal(reader.u8('a'), a);
        assert.equal(reader.u16('b'), b);
        assert.equal(reader.u32('c'), c);
        assert.equal(reader.u64('d'), d);
        assert.deepEqual([...reader.bytes(e.length, 'e')], [...e]);
        reader.end('structure');
      },
    ),
  );
});

test('reading past the end is a truncated FormatError with the offset of the window', () => {
  const reader = new ByteReader(new Uint8Array(3), { base: 100 });
  reader.u16('first');
  assert.throws(
    () => reader.u16('second'),
    (error) => error instanceof FormatError && error.code === 'truncated' && error.offset === 102,
  );
  assert.throws(() => reader.bytes(-1, 'negative'), FormatError);
  assert.throws(() => reader.bytes(Number.NaN, 'not a number'), FormatError);
  assert.throws(() => reader.end('rest'), FormatError);
});

test('a 64-bit size beyond any real size is refused', () => {
  const bytes = new ByteWriter().u64(2n ** 53n).finish();
  assert.throws(() => new ByteReader(bytes).size64('size'), FormatError);
});

test('values that do not fit are refused when encoding', () => {
  for (const write of [
    () => new ByteWriter().u8(256),
    () => new ByteWriter().u16(-1),
    () => new ByteWriter().u32(2 ** 32),
    () => new ByteWriter().u64(-1n),
  ]) {
    assert.throws(write, FormatError);
  }
});

test('a slice of a source cannot be read outside itself', () => {
  const slice = sliceSource(sourceOf(Uint8Array.of(0, 1, 2, 3, 4)), 1, 3);
  assert.deepEqual([...slice.read(0, 3)], [1, 2, 3]);
  assert.throws(() => slice.read(1, 3), FormatError);
  assert.throws(() => sliceSource(sourceOf(new Uint8Array(4)), 3, 2), FormatError);
});

test('hex round trip, and refusal of anything else', () => {
  assert.equal(toHex(fromHex('00ffAb')), '00ffab');
  assert.throws(() => fromHex('0'), FormatError);
  assert.throws(() => fromHex('zz'), FormatError);
});

test('segments read like the bytes they stand for', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(20), fc.uint8Array({ maxLength: 30 })), { maxLength: 8 }),
      fc.nat(20),
      fc.nat(300),
      fc.nat(300),
      (pieces, tail, a, b) => {
        const segments: { offset: number; body: ReturnType<typeof sourceOf> }[] = [];
        let size = 0;
        for (const [gap, bytes] of pieces) {
          segments.push({ offset: size + gap, body: sourceOf(bytes) });
          size += gap + bytes.length;
        }
        size += tail;
        const flat = new Uint8Array(size);
        for (const { offset, body } of segments) flat.set(body.read(0, body.size), offset);
        const start = a % (size + 1);
        const length = b % (size - start + 1);
        const read = segmentSource(segments, size).read(start, length);
        assert.deepEqual([...read], [...flat.subarray(start, start + length)]);
      },
    ),
  );
  const piece = { offset: 4, body: sourceOf(new Uint8Array(4)) };
  assert.throws(() => segmentSource([piece, piece], 100), { code: 'not-encodable' });
  assert.throws(() => segmentSource([piece], 7), { code: 'not-encodable' });
});

test('any bytes become text and come back', () => {
  const pieces = fc.oneof(
    fc.uint8Array({ maxLength: 8 }),
    fc.string({ unit: 'binary', maxLength: 4 }).map((text) => new Uint8Array(Buffer.from(text))),
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 6 }), (parts) => {
      const bytes = Buffer.concat(parts);
      assert.deepEqual([...encodeText(decodeText(bytes))], [...bytes]);
    }),
  );
  assert.equal(decodeText(Uint8Array.of(0x61, 0xff)), 'a\udcff');
  assert.throws(() => encodeText('\ud800'), { code: 'not-encodable' });
});
