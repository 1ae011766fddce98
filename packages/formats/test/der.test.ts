import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FormatError, fromHex, toHex } from '@osguard/formats/bytes';
import {
  derBitString,
  derBoolean,
  derContext,
  derInteger,
  derNull,
  derOctetString,
  DerReader,
  derOid,
  derSequence,
  derSetOf,
  derTag,
  derTime,
} from '@osguard/formats/der';
import { decodePem, encodePem } from '@osguard/formats/x509';

const read = (hex: string): DerReader => new DerReader(fromHex(hex));

test('what DER forbids is refused', () => {
  const cases: readonly [string, string, (reader: DerReader) => unknown][] = [
    ['indefinite length', '30800000', (r) => r.sequence('x')],
    ['long form for a short length', '04810141', (r) => r.octetString('x')],
    ['leading zero in the length', '0482008041', (r) => r.octetString('x')],
    ['length of five octets', '04850000000001', (r) => r.octetString('x')],
    ['more than there is', '040241', (r) => r.octetString('x')],
    ['header cut short', '0482', (r) => r.octetString('x')],
    ['no element', '', (r) => r.octetString('x')],
    ['multi-octet tag', '1f0100', (r) => r.any('x')],
    ['empty integer', '0200', (r) => r.integer('x')],
    ['padded integer', '02020001', (r) => r.integer('x')],
    ['padded negative integer', '0202ff80', (r) => r.integer('x')],
    ['negative small integer', '0201ff', (r) => r.smallInteger('x')],
    ['large small integer', '02050100000000', (r) => r.smallInteger('x')],
    ['boolean 1', '010101', (r) => r.boolean('x')],
    ['NULL with content', '050100', (r) => r.null('x')],
    ['padded arc', '0603550480', (r) => r.oid('x')],
    ['unfinished arc', '060355048f', (r) => r.oid('x')],
    ['empty identifier', '0600', (r) => r.oid('x')],
    ['endless arc', `060a2a${'ff'.repeat(9)}`, (r) => r.oid('x')],
    ['bit string with unused bits', '03020100', (r) => r.bitString('x')],
    ['empty bit string', '0300', (r) => r.bitString('x')],
    ['another type', '0400', (r) => r.sequence('x')],
  ];
  for (const [what, hex, run] of cases) assert.throws(() => run(read(hex)), FormatError, what);
  const reader = read('05000500');
  reader.null('x');
  assert.throws(() => reader.end('x'), /2 bytes too many \(at byte 2\)/);
});

test('offsets are those of the whole input', () => {
  const inner = read('30060204040401ffff').sequence('outer');
  inner.any('first');
  assert.throws(() => inner.octetString('second'), FormatError);
  const nested = read('3004300204ff').sequence('a').sequence('b');
  assert.throws(() => nested.octetString('c'), /at byte 5/);
});

test('depth is bounded even for a caller that loops', () => {
  let bytes: Uint8Array = derNull();
  for (let i = 0; i < 100; i += 1) bytes = derSequence(bytes);
  assert.throws(() => {
    for (let reader = new DerReader(bytes); ;) reader = reader.sequence('again');
  }, /nested deeper/);
});

test('what is written is read', () => {
  fc.assert(
    fc.property(
      fc.nat(0x7fff_ffff),
      fc.boolean(),
      fc.uint8Array({ maxLength: 70_000, size: 'max' }),
      fc.array(fc.nat(2 ** 31), { maxLength: 6 }),
      fc.constantFrom('1.2', '2.5', '2.999'),
      (number, flag, octets, arcs, root) => {
        const oid = [root, ...arcs].join('.');
        const bytes = derSequence(
          derInteger(number),
          derBoolean(flag),
          derOctetString(octets),
          derOid(oid),
          derContext(3, derNull()),
          derBitString(octets),
        );
        const reader = new DerReader(bytes).sequence('x');
        assert.equal(reader.smallInteger('n'), number);
        assert.equal(reader.boolean('b'), flag);
        assert.deepEqual(reader.octetString('o'), octets);
        assert.equal(reader.oid('i'), oid);
        reader.enter(0xa3, 'c').null('c');
        assert.deepEqual(reader.bitString('s'), octets);
        reader.end('x');
      },
    ),
    { numRuns: 50 },
  );
});

test('sets are sorted and integers positive', () => {
  assert.equal(toHex(derSetOf(derInteger(2), derInteger(1))), '3106020101020102');
  assert.equal(toHex(derInteger(0)), '020100');
  assert.equal(toHex(derInteger(fromHex('000080'))), '02020080');
  assert.equal(toHex(derInteger(128)), '02020080');
});

const text = (ms: number): string => Buffer.from(new DerReader(derTime(ms)).any('t').content).toString();

test('times change form in 2050', () => {
  assert.equal(text(Date.UTC(2049, 11, 31, 23, 59, 59)), '491231235959Z');
  assert.equal(text(Date.UTC(2050, 0, 1)), '20500101000000Z');
  assert.equal(new DerReader(derTime(Date.UTC(2050, 0, 1))).peek(), derTag.generalizedTime);
  assert.throws(() => derTime(Number.NaN), FormatError);
});

test('PEM round trip, and broken armour is refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (der) => {
      const pem = encodePem('X', der);
      assert.deepEqual(decodePem('X', `${pem}${pem}`).map(toHex), [toHex(der), toHex(der)]);
    }),
  );
  assert.throws(() => decodePem('X', ''), FormatError);
  assert.throws(() => decodePem('X', '-----BEGIN X-----\nAAAA'), FormatError);
  assert.throws(() => decodePem('X', '-----BEGIN X-----\n%%%%\n-----END X-----'), FormatError);
});
