import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { FormatError, toHex } from '@osguard/formats/bytes';
import {
  encodeVariableStore,
  enrollSecureBoot,
  globalVariableGuid,
  imageSecurityDatabaseGuid,
  keyVariableContent,
  keyVariables,
  parseVariableStore,
  setVariables,
} from '@osguard/formats/efi';
import type { StoredVariable } from '@osguard/formats/efi';
import { blankVariableStore, installedFile, judge, noJudge, scratch } from '@osguard/testkit';
import { makeSigner } from './test-signer.ts';

const owner = '11111111-2222-3333-4444-555555555555';

const variable = fc.record({
  name: fc.stringMatching(/^[A-Za-z0-9]{1,20}$/),
  vendor: fc.constantFrom(globalVariableGuid, imageSecurityDatabaseGuid, owner),
  attributes: fc.nat(0x7f),
  time: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  data: fc.uint8Array({ maxLength: 200 }),
});
const same = (a: StoredVariable, b: StoredVariable): boolean => a.name === b.name && a.vendor === b.vendor;

test('variables written to a store are read back, and replace their namesakes', () => {
  const blank = blankVariableStore(64 * 1024);
  assert.deepEqual(parseVariableStore(blank).variables, []);
  fc.assert(
    fc.property(
      fc.uniqueArray(variable, { maxLength: 8, comparator: same }),
      fc.uniqueArray(variable, { maxLength: 8, comparator: same }),
      (first, second) => {
        const once = encodeVariableStore(blank, first);
        assert.deepEqual(parseVariableStore(once).variables.map(plain), first.map(plain));
        const twice = setVariables(once, second);
        const kept = first.filter((each) => !second.some((other) => same(each, other)));
        assert.deepEqual(parseVariableStore(twice).variables.map(plain), [...kept, ...second].map(plain));
        assert.deepEqual(encodeVariableStore(twice, []), blank);
      },
    ),
    { numRuns: 50 },
  );
});

function plain({ name, vendor, attributes, time, data }: StoredVariable): Record<string, unknown> {
  return { name, vendor, attributes, time: toHex(time), data: toHex(data) };
}

const make = (data: number): StoredVariable => ({
  name: 'a',
  vendor: owner,
  attributes: 3,
  time: new Uint8Array(16),
  data: Uint8Array.of(data),
});

const values = (bytes: Uint8Array): string =>
  parseVariableStore(bytes)
    .variables.map((v) => `${v.name}${v.data[0]}`)
    .join();

test('records that firmware deleted or was replacing are read as it reads them', () => {
  const blank = blankVariableStore(8192);
  const other: StoredVariable = { ...make(9), name: 'b' };
  const fd = encodeVariableStore(blank, [make(1), other]);
  const start = 72 + 28;
  const state = (value: number): Uint8Array => {
    const changed = Uint8Array.from(fd);
    changed[start + 2] = value;
    return changed;
  };
  assert.equal(values(fd), 'a1,b9');
  assert.equal(values(state(0x3e)), 'a1,b9');
  assert.equal(values(state(0x3d)), 'b9');
  assert.equal(values(state(0x7f)), 'b9');
  // Power was lost between writing the new record and deleting the old one: the new one counts.
  const both = Uint8Array.from(encodeVariableStore(blank, [make(1), { ...make(2), name: 'c' }]));
  both[start + 2] = 0x3e;
  both[start + 68 + 60] = 'a'.charCodeAt(0);
  assert.equal(values(both), 'a2');
  // The same where the replacement stands first, as after the firmware tidied up.
  const second = start + 68;
  both[start + 2] = 0x3f;
  both[second + 2] = 0x3e;
  assert.equal(values(both), 'a1');
  both[second + 2] = 0x3f;
  assert.throws(() => parseVariableStore(both), /two live records/);
});

test('a broken store is refused', () => {
  const blank = blankVariableStore(8192);
  const edits: readonly [number, number][] = [
    [16, 0],
    [40, 0],
    [48, 0],
    [50, 1],
    [72, 0],
    [92, 0],
    [93, 0],
    [200, 0],
  ];
  for (const [at, value] of edits) {
    const broken = Uint8Array.from(blank);
    broken[at] = value;
    assert.throws(() => parseVariableStore(broken), FormatError, `byte ${at}`);
  }
  assert.throws(() => parseVariableStore(blank.subarray(0, 4096)), FormatError);
  const big = {
    name: 'x',
    vendor: owner,
    attributes: 3,
    time: new Uint8Array(16),
    data: new Uint8Array(9000),
  };
  assert.throws(() => encodeVariableStore(blank, [big]), /there is room for/);
  const small = { ...big, data: new Uint8Array(1) };
  assert.throws(() => encodeVariableStore(blank, [small, small]), /twice/);
  assert.throws(() => encodeVariableStore(blank, [{ ...small, name: '' }]), FormatError);
});

const blankFile = installedFile('/usr/share/OVMF/OVMF_VARS_4M.fd');

test(
  'virt-fw-vars reads the enrolled store',
  { skip: blankFile === undefined ? 'OVMF_VARS_4M.fd is not on this machine (package ovmf)' : false },
  async (t) => {
    const blank = readFileSync(blankFile ?? '');
    const signer = makeSigner('test platform');
    const keys = {
      pk: signer.certificate.der,
      kek: [signer.certificate.der],
      db: [signer.certificate.der],
      dbx: [new Uint8Array(32).fill(0xab)],
      owner,
      timestamp: Date.UTC(2026, 0, 1),
    };
    const fd = enrollSecureBoot(blank, keys);
    assert.equal(fd.length, blank.length);
    assert.deepEqual(enrollSecureBoot(fd, keys), fd);
    const db = parseVariableStore(fd).variables.find(({ name }) => name === 'db');
    assert.deepEqual(Buffer.from(db?.data ?? []), Buffer.from(keyVariableContent(keys).db));
    assert.equal(db?.vendor, keyVariables.db);
    using dir = scratch('store');
    writeFileSync(dir.file('vars.fd'), fd);
    const tool = judge('virt-fw-vars');
    await t.test('virt-fw-vars', { skip: tool ? false : noJudge('virt-fw-vars') }, () => {
      const { stdout } = tool?.run(['-i', dir.file('vars.fd'), '-p', '-v']) ?? { stdout: '' };
      for (const name of ['PK', 'KEK', 'db', 'dbx']) assert.match(stdout, new RegExp(`name=${name} `));
      assert.match(stdout, /name=SecureBootEnable .*\n {2}bool: ON/);
      assert.match(stdout, /subject CN=test platform/);
    });
  },
);
