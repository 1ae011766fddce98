import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteWriter, FormatError, encodeGuid } from '@osguard/formats/bytes';
import { allSignersGood } from '@osguard/formats/cms';
import {
  certificateLists,
  digestLists,
  encodeEfiTime,
  encodeSignatureLists,
  globalVariableGuid,
  imageSecurityDatabaseGuid,
  keyVariableAttributes,
  parseAuthenticatedVariable,
  parseEfiTime,
  parseSignatureLists,
  planAuthenticatedVariable,
  verifyAuthenticatedVariable,
} from '@osguard/formats/efi';
import { encodePem, formatName, parseCertificate } from '@osguard/formats/x509';
import { judge, noJudge, noVectors, scratch, vectors } from '@osguard/testkit';
import { finish, makeSigner } from './test-signer.ts';

const found = vectors();
const needsVectors = found === undefined ? { skip: noVectors } : {};
const owner = '11111111-2222-3333-4444-555555555555';

interface ExpectedList {
  readonly type: string;
  readonly listSize: number;
  readonly headerSize: number;
  readonly signatureSize: number;
  readonly count: number;
  readonly signatures?: readonly {
    readonly owner: string;
    readonly dataSha256: string;
    readonly size: number;
  }[];
}

interface Row {
  readonly id: string;
  readonly files: readonly { readonly file: string }[];
  readonly expected: {
    readonly result: 'accept' | 'reject';
    readonly lists?: readonly ExpectedList[];
    readonly payload_lists?: readonly ExpectedList[];
    readonly attributes?: string;
    readonly fails_with_attributes?: string;
    readonly variable?: string;
    readonly vendor_guid?: string;
    readonly timestamp?: string;
    readonly pkcs7_bytes?: number;
    readonly signed_by?: string;
  };
}

const rows = (found?.rows('5-uefi') ?? []) as unknown as readonly Row[];
const bytesOf = (path: string | undefined): Uint8Array => {
  if (found === undefined || path === undefined) throw new Error('no such vector');
  return Uint8Array.from(found.file(path));
};
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function assertLists(bytes: Uint8Array, expected: readonly ExpectedList[], id: string): void {
  const lists = parseSignatureLists(bytes);
  assert.equal(lists.length, expected.length, id);
  for (const [i, { type, header, signatures }] of lists.entries()) {
    const want = expected[i];
    assert.equal(type, want?.type, id);
    assert.equal(header.length, want?.headerSize);
    assert.equal(signatures.length, want?.count);
    for (const [k, signature] of (want?.signatures ?? []).entries()) {
      assert.equal(signatures[k]?.owner, signature.owner);
      assert.equal(signatures[k]?.data.length, signature.size);
      assert.equal(sha256(signatures[k]?.data ?? new Uint8Array()), signature.dataSha256);
    }
  }
  assert.deepEqual(encodeSignatureLists(lists), bytes, id);
}

const certificateIn = (file: string): Uint8Array =>
  parseSignatureLists(parseAuthenticatedVariable(bytesOf(file)).content)[0]?.signatures[0]?.data ??
  new Uint8Array();

test('public vectors: signature lists', needsVectors, () => {
  const lists = rows.filter(({ id }) => /^uefi\/(esl|efivars)\//.test(id));
  assert.ok(lists.length >= 9);
  for (const { id, files, expected } of lists) {
    const file = bytesOf(files[0]?.file);
    const bytes = expected.attributes === undefined ? file : file.subarray(4);
    if (expected.result === 'reject') assert.throws(() => parseSignatureLists(bytes), FormatError, id);
    else assertLists(bytes, expected.lists ?? [], id);
  }
});

test('public vectors: signed variable updates', needsVectors, () => {
  const updates = rows.filter(({ id }) => id.startsWith('uefi/auth/'));
  assert.equal(updates.length, 5);
  for (const { id, files, expected } of updates) {
    const update = parseAuthenticatedVariable(bytesOf(files[0]?.file));
    assert.equal(new Date(update.timestamp).toISOString(), expected.timestamp?.replace('Z', '.000Z'), id);
    assertLists(update.content, expected.payload_lists ?? [], id);
    // The signer of db.auth is the certificate that KEK.auth holds; PK.auth and dbx name theirs otherwise.
    const signer = id.endsWith('ovmf/db')
      ? certificateIn('uefi/auth/go-uefi-ovmf/KEK.auth')
      : id.endsWith('PK')
        ? certificateIn('uefi/auth/go-uefi-varsign/PK.auth')
        : files[1] === undefined
          ? undefined
          : bytesOf(files[1].file);
    const trusted = signer === undefined ? [] : [parseCertificate(signer)];
    const check = (attributes: string | undefined): boolean =>
      allSignersGood(
        verifyAuthenticatedVariable(
          update,
          {
            name: expected.variable ?? '',
            vendor: expected.vendor_guid ?? '',
            attributes: Number(attributes),
          },
          { trusted },
        ),
      );
    assert.equal(check(expected.attributes), signer !== undefined, id);
    assert.equal(check(expected.fails_with_attributes), false, id);
    const target = { name: expected.variable ?? '', vendor: expected.vendor_guid ?? '', attributes: 0x67 };
    const [result] = verifyAuthenticatedVariable(update, target, { trusted });
    assert.ok(
      result?.checks.find((each) => each.id === 'signature')?.ok,
      `${id}: signature with its own certificate`,
    );
  }
});

test('signature lists round trip', () => {
  const list = fc.record({
    type: fc.constant('26dc4851-195f-4ae1-9a19-fbf883bbb35e'),
    header: fc.uint8Array({ maxLength: 20 }),
    signatures: fc
      .tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 5 }))
      .chain(([size, count]) =>
        fc.array(
          fc.record({ owner: fc.constant(owner), data: fc.uint8Array({ minLength: size, maxLength: size }) }),
          {
            minLength: count,
            maxLength: count,
          },
        ),
      ),
  });
  fc.assert(
    fc.property(fc.array(list, { maxLength: 4 }), (lists) => {
      const bytes = encodeSignatureLists(lists);
      assert.deepEqual(encodeSignatureLists(parseSignatureLists(bytes)), bytes);
    }),
  );
  const list28 = encodeSignatureLists(digestLists(owner, [new Uint8Array(32)]));
  for (const [at, value, why] of [
    [24, 49, 'SHA-256'],
    [16, 75, 'number of'],
    [16, 27, 'less than'],
    [20, 49, 'does not fit'],
    [24, 16, 'no room'],
    [16, 28, 'number of'],
  ] as const) {
    const broken = Uint8Array.from(list28);
    broken[at] = value;
    assert.throws(() => parseSignatureLists(broken), new RegExp(why));
  }
  assert.throws(() => digestLists(owner, [new Uint8Array(20)]), FormatError);
});

test('EFI times round trip and impossible ones are refused', () => {
  fc.assert(
    fc.property(fc.integer({ min: -2_208_988_800, max: 253_402_300_799 }), (seconds) => {
      assert.equal(parseEfiTime(encodeEfiTime(seconds * 1000)), seconds * 1000);
    }),
  );
  const bad = encodeEfiTime(Date.UTC(2026, 1, 28));
  for (const [at, value] of [
    [2, 0],
    [2, 13],
    [3, 30],
    [4, 24],
    [5, 60],
    [6, 60],
    [7, 1],
    [15, 1],
  ] as const) {
    const broken = Uint8Array.from(bad);
    broken[at] = value;
    assert.throws(() => parseEfiTime(broken), FormatError, `byte ${at} = ${value}`);
  }
  assert.throws(() => encodeEfiTime(1.5), FormatError);
  assert.throws(() => encodeEfiTime(Number.NaN), FormatError);
});

test('a signed update verifies for its variable, attributes and signer only', () => {
  const kek = makeSigner('test exchange');
  const content = encodeSignatureLists(certificateLists(owner, [kek.certificate.der]));
  const update = {
    name: 'db',
    vendor: imageSecurityDatabaseGuid,
    attributes: keyVariableAttributes,
    timestamp: Date.UTC(2026, 10, 22),
    content,
  };
  const bytes = finish(kek, planAuthenticatedVariable(update, kek.certificate));
  assert.deepEqual(bytes, finish(kek, planAuthenticatedVariable(update, kek.certificate)));
  const parsed = parseAuthenticatedVariable(bytes);
  assert.deepEqual(Buffer.from(parsed.content), Buffer.from(content));
  const trusted = [kek.certificate];
  const good = (target: Partial<typeof update>): boolean =>
    allSignersGood(verifyAuthenticatedVariable(parsed, { ...update, ...target }, { trusted }));
  assert.ok(good({}));
  assert.ok(!good({ name: 'dbx' }));
  assert.ok(!good({ vendor: globalVariableGuid }));
  assert.ok(!good({ attributes: 0x67 }));
  assert.ok(
    !allSignersGood(verifyAuthenticatedVariable(parsed, update, { trusted: [makeSigner('x').certificate] })),
  );
});

test(
  'efitools and openssl agree on lists and signed updates',
  { skip: judge('openssl') ? false : noJudge('openssl') },
  async (t) => {
    using dir = scratch('efi');
    const kek = makeSigner('test exchange');
    writeFileSync(dir.file('crt.pem'), encodePem('CERTIFICATE', kek.certificate.der));
    writeFileSync(dir.file('key.pem'), kek.key.export({ format: 'pem', type: 'pkcs8' }));
    const content = encodeSignatureLists(certificateLists(owner, [kek.certificate.der]));
    writeFileSync(dir.file('ours.esl'), content);
    const timestamp = Date.UTC(2026, 10, 22, 1, 2, 3);
    const update = {
      name: 'db',
      vendor: imageSecurityDatabaseGuid,
      attributes: keyVariableAttributes,
      timestamp,
      content,
    };
    const bytes = finish(kek, planAuthenticatedVariable(update, kek.certificate));
    // openssl wants the ContentInfo that UEFI leaves out.
    const { signature } = parseAuthenticatedVariable(bytes);
    const plan = planAuthenticatedVariable(update, kek.certificate);
    writeFileSync(dir.file('signed'), plan.toSign);
    writeFileSync(dir.file('bare.der'), signature);
    const header = new ByteWriter({ endian: 'big' });
    header
      .u8(0x30)
      .u8(0x82)
      .u16(signature.length + 15);
    header.bytes(Buffer.from('06092a864886f70d010702', 'hex')).u8(0xa0).u8(0x82).u16(signature.length);
    writeFileSync(dir.file('p7'), Buffer.concat([header.finish(), signature]));
    const done = judge('openssl')?.run(
      [
        'cms',
        '-verify',
        '-binary',
        '-inform',
        'der',
        '-in',
        'p7',
        '-content',
        'signed',
        '-CAfile',
        'crt.pem',
        '-no_check_time',
        '-purpose',
        'any',
      ],
      { cwd: dir.path },
    );
    assert.equal(done?.status, 0, done?.stderr);

    const lister = judge('cert-to-efi-sig-list');
    const signer = judge('sign-efi-sig-list');
    const lacks = lister === undefined || signer === undefined;
    await t.test('efitools', { skip: lacks ? noJudge('efitools') : false }, () => {
      if (lacks) return;
      assert.equal(lister.run(['-g', owner, 'crt.pem', 'theirs.esl'], { cwd: dir.path }).status, 0);
      assert.deepEqual(readFileSync(dir.file('theirs.esl')), Buffer.from(content));
      const args = [
        '-t',
        '2026-11-22 01:02:03',
        '-c',
        'crt.pem',
        '-k',
        'key.pem',
        'db',
        'ours.esl',
        'theirs.auth',
      ];
      assert.equal(signer.run(args, { cwd: dir.path, env: { TZ: 'UTC' } }).status, 0);
      const theirs = parseAuthenticatedVariable(readFileSync(dir.file('theirs.auth')));
      assert.equal(theirs.timestamp, timestamp);
      assert.ok(allSignersGood(verifyAuthenticatedVariable(theirs, update, { trusted: [kek.certificate] })));
    });
  },
);

test('a name is shown without control characters', () => {
  assert.equal(formatName([{ oid: '2.5.4.3', value: 'a\u001b[2Jb' }]), 'CN=a?[2Jb');
  assert.equal(encodeGuid(owner).length, 16);
});
