import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { FormatError, segmentSource, sourceOf, toHex } from '@osguard/formats/bytes';
import type { ByteSource } from '@osguard/formats/bytes';
import {
  appendSections,
  assertAuthenticode,
  authenticodeDigest,
  buildUki,
  findUncovered,
  mergeSbat,
  parseIndirectData,
  parsePe,
  planPeSignature,
  readSignatures,
  readUkiSection,
  splitCertificateTable,
  stripSignatures,
  verifyPe,
} from '@osguard/formats/pe';
import { parseSignedData, verifySignedData } from '@osguard/formats/cms';
import { decodePem, encodePem, parseCertificate } from '@osguard/formats/x509';
import { installedFile, judge, makePe, noJudge, noVectors, scratch, vectors } from '@osguard/testkit';
import { finish, makeSigner } from './test-signer.ts';

const found = vectors();
const needsVectors = found === undefined ? { skip: noVectors } : {};
const stubFile = installedFile('/usr/lib/systemd/boot/efi/linuxx64.efi.stub');
const stub = stubFile === undefined ? undefined : readFileSync(stubFile);
const needsStub =
  stub === undefined ? { skip: 'systemd-stub is not on this machine (package systemd-boot-efi)' } : {};

const boot = makeSigner('test boot');
const other = makeSigner('test other', 'ec');

interface PeExpected {
  readonly result: 'accept' | 'reject';
  readonly authenticode_sha256?: string;
  readonly authenticode_sha256_unpadded?: string;
  readonly authenticode_sha256_padded_to_8?: string;
  readonly signatures?: number;
  readonly sections?: readonly Record<string, unknown>[];
  readonly win_certificates?: readonly { readonly pkcs7_bytes: number; readonly pkcs7_sha256: string }[];
  readonly verifies_with?: string;
  readonly length?: number;
  readonly authenticode_digest_sha256?: string;
  readonly signer_tbs_sha256?: string;
}

interface Row {
  readonly id: string;
  readonly files?: readonly { readonly file: string }[];
  readonly expected: PeExpected;
}

const rows = (found?.rows('5-uefi') ?? []) as unknown as readonly Row[];
const bytesOf = (row: Row, index = 0): Uint8Array => {
  const file = row.files?.[index]?.file;
  if (found === undefined || file === undefined) throw new Error(`${row.id} has no file ${index}`);
  return Uint8Array.from(found.file(file));
};

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function whole(source: ByteSource): Uint8Array {
  return Uint8Array.from(source.read(0, source.size));
}

test('public vectors: sections, digests and signatures', needsVectors, () => {
  const images = rows.filter(({ id }) => id.startsWith('uefi/pe/'));
  assert.equal(images.length, 4);
  for (const row of images) {
    const image = parsePe(sourceOf(bytesOf(row)));
    const { expected } = row;
    const sections = image.sections.map((each) => ({
      name: each.name,
      virtual_size: each.virtualSize,
      virtual_address: each.virtualAddress,
      raw_size: each.rawSize,
      raw_pointer: each.rawOffset,
    }));
    assert.deepEqual(sections, expected.sections, row.id);
    const digest = toHex(authenticodeDigest(image));
    assert.equal(digest, expected.authenticode_sha256 ?? expected.authenticode_sha256_unpadded, row.id);
    const padded = toHex(authenticodeDigest(image, { padded: true }));
    assert.equal(padded, expected.authenticode_sha256 ?? expected.authenticode_sha256_padded_to_8, row.id);
    assert.equal(findUncovered(image), undefined);
    const signatures = readSignatures(image);
    assert.equal(signatures.length, expected.signatures);
    for (const [i, { data }] of signatures.entries()) {
      assert.equal(data.length, expected.win_certificates?.[i]?.pkcs7_bytes);
      assert.equal(sha256(data), expected.win_certificates?.[i]?.pkcs7_sha256);
    }
    if (expected.verifies_with !== undefined) {
      const pem = Buffer.from(bytesOf(row, 1)).toString('latin1');
      const trusted = decodePem('CERTIFICATE', pem).map((der) => parseCertificate(der));
      const verified = verifyPe(image.source, { trusted });
      assert.ok(verified.ok, JSON.stringify(verified.signatures[0]?.checks));
      const [first] = image.sections;
      const broken = bytesOf(row);
      broken[first?.rawOffset ?? 0] = (broken[first?.rawOffset ?? 0] ?? 0) ^ 1;
      assert.equal(verifyPe(sourceOf(broken), { trusted }).ok, false);
    }
  }
});

test('public vectors: certificate table entries', needsVectors, () => {
  const good = rows.find(({ id }) => id === 'uefi/wincert/cert-type-authenticode.sig');
  const bad = rows.find(({ id }) => id === 'uefi/wincert/cert-invalid-revision.sig');
  assert.ok(good && bad);
  const [entry, ...more] = splitCertificateTable(bytesOf(good));
  assert.ok(entry !== undefined && more.length === 0);
  assert.equal(entry.data.length + 8, good.expected.length);
  assertAuthenticode(entry);
  const message = parseSignedData(entry.data);
  assert.equal(
    parseIndirectData(message.content ?? new Uint8Array()).digest,
    good.expected.authenticode_digest_sha256,
  );
  const anchor = parseCertificate(bytesOf(good, 1));
  const [signer] = verifySignedData(message, { trusted: [anchor] });
  assert.ok(signer?.ok, JSON.stringify(signer?.checks));
  assert.equal(signer.anchor, anchor);
  assert.equal(sha256(signer.certificate?.tbs ?? new Uint8Array()), good.expected.signer_tbs_sha256);
  assert.throws(() => {
    for (const each of splitCertificateTable(bytesOf(bad))) assertAuthenticode(each);
  }, FormatError);
});

test('signing is deterministic, appends, and only the right certificate verifies', () => {
  for (const extra of [0, 1, 7, 8]) {
    const image = makePe({ trailing: extra });
    const once = finish(boot, planPeSignature(sourceOf(image), boot.certificate));
    assert.deepEqual(whole(once), whole(finish(boot, planPeSignature(sourceOf(image), boot.certificate))));
    const twice = finish(other, planPeSignature(once, other.certificate));
    for (const [signed, signers] of [
      [once, [boot]],
      [twice, [boot, other]],
    ] as const) {
      for (const { certificate } of signers) {
        const verified = verifyPe(signed, { trusted: [certificate] });
        assert.ok(verified.ok);
        assert.equal(verified.signatures.length, signers.length);
        assert.equal(verified.signatures.filter(({ ok }) => ok).length, 1);
        assert.equal(verified.digest, toHex(authenticodeDigest(parsePe(sourceOf(image)), { padded: true })));
      }
      assert.equal(verifyPe(signed, { trusted: [] }).ok, false);
      const stripped = whole(stripSignatures(signed));
      assert.deepEqual(stripped.subarray(0, image.length), image);
      assert.ok(stripped.length - image.length < 8);
    }
    assert.deepEqual(verifyPe(sourceOf(image), { trusted: [boot.certificate] }).signatures, []);
    assert.equal(verifyPe(sourceOf(image), { trusted: [boot.certificate] }).ok, false);
  }
});

test('any changed byte of a signed image is noticed', () => {
  const signed = whole(finish(boot, planPeSignature(sourceOf(makePe({ trailing: 3 })), boot.certificate)));
  const { at, certificateTable } = parsePe(sourceOf(signed));
  const embedded = Buffer.from(signed).indexOf(boot.certificate.der);
  assert.ok(embedded > 0);
  for (let i = 0; i < signed.length; i += 1) {
    const broken = Uint8Array.from(signed);
    broken[i] = (broken[i] ?? 0) ^ 0x04;
    let ok = false;
    try {
      ({ ok } = verifyPe(sourceOf(broken), { trusted: [boot.certificate] }));
    } catch (error) {
      assert.ok(error instanceof FormatError, `byte ${i}: ${String(error)}`);
    }
    // Nobody signs the checksum; an entry's length may or may not count its padding; and the certificate inside
    // is not looked at when the trusted ones have the signer.
    const ignored =
      (i >= at.checksum && i < at.checksum + 4) ||
      i === certificateTable?.offset ||
      (i >= embedded && i < embedded + boot.certificate.der.length);
    assert.ok(!ok || ignored, `byte ${i} of ${signed.length}`);
  }
});

test('the certificate table is the aligned end of the file', () => {
  const signed = whole(finish(boot, planPeSignature(sourceOf(makePe({})), boot.certificate)));
  assert.throws(() => parsePe(sourceOf(Buffer.concat([signed, new Uint8Array(8)]))), /certificate table/);
  assert.throws(() => parsePe(sourceOf(signed.subarray(0, -8))), /certificate table/);
});

test('bytes outside every section, and overlapping sections, are refused', () => {
  const gap = makePe({ gap: 512 });
  assert.equal(findUncovered(parsePe(sourceOf(gap))), undefined);
  gap[2048 + 5] = 1;
  assert.match(findUncovered(parsePe(sourceOf(gap))) ?? '', /belong to no section/);
  assert.throws(() => planPeSignature(sourceOf(gap), boot.certificate), FormatError);
  const overlap = makePe({ gap: -512 });
  assert.match(findUncovered(parsePe(sourceOf(overlap))) ?? '', /overlaps/);
});

test(
  'sbverify and osslsigncode agree with us',
  { skip: judge('sbverify') ? false : noJudge('sbverify') },
  () => {
    using dir = scratch('pe');
    const images = new Map<string, Uint8Array>([['made', makePe({ trailing: 5 })]]);
    for (const row of rows.filter(({ id }) => /pe\/[a-z.]*(efi|pecoff)$/.test(id)))
      images.set(row.id.split('/')[2] ?? '', bytesOf(row));
    if (stub !== undefined) images.set('stub', Uint8Array.from(stub));
    writeFileSync(dir.file('boot.pem'), encodePem('CERTIFICATE', boot.certificate.der));
    writeFileSync(dir.file('other.pem'), encodePem('CERTIFICATE', other.certificate.der));
    writeFileSync(dir.file('boot.key'), boot.key.export({ format: 'pem', type: 'pkcs8' }));
    const run = (tool: string, args: string[]): number | undefined =>
      judge(tool)?.run(args, { cwd: dir.path }).status;
    for (const [name, image] of images) {
      const signed = finish(boot, planPeSignature(sourceOf(image), boot.certificate));
      writeFileSync(dir.file(name), whole(signed));
      assert.equal(run('sbverify', ['--cert', 'boot.pem', name]), 0, name);
      assert.notEqual(run('sbverify', ['--cert', 'other.pem', name]), 0, name);
      writeFileSync(dir.file('two'), whole(finish(other, planPeSignature(signed, other.certificate))));
      assert.equal(run('sbverify', ['--cert', 'boot.pem', 'two']), 0, name);
      assert.equal(run('sbverify', ['--cert', 'other.pem', 'two']), 0, name);
      const shown = judge('osslsigncode')?.run(['verify', '-CAfile', 'boot.pem', '-in', name], {
        cwd: dir.path,
      });
      if (shown !== undefined) assert.equal(shown.status, 0, shown.stdout + shown.stderr);
      if (judge('sbsign') !== undefined) {
        writeFileSync(dir.file('plain'), image);
        assert.equal(
          run('sbsign', ['--cert', 'boot.pem', '--key', 'boot.key', '--output', 'theirs', 'plain']),
          0,
        );
        const theirs = verifyPe(sourceOf(readFileSync(dir.file('theirs'))), { trusted: [boot.certificate] });
        assert.ok(theirs.ok, JSON.stringify(theirs.signatures[0]?.checks));
        assert.equal(theirs.digest, verifyPe(signed, { trusted: [boot.certificate] }).digest);
      }
    }
  },
);

test('appended sections can be read back and do not disturb the image', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 3000 }), { minLength: 1, maxLength: 6 }),
      fc.nat(600),
      (bodies, trailing) => {
        const image = makePe({ trailing });
        const added = bodies.map((body, i) => ({ name: `.s${i}`, body: sourceOf(body) }));
        const source = appendSections(sourceOf(image), added);
        const result = parsePe(source);
        assert.equal(source.size % result.fileAlignment, 0);
        assert.equal(findUncovered(result) === undefined || trailing > 0, true);
        for (const [i, body] of bodies.entries()) {
          const section = readUkiSection(result, `.s${i}`);
          assert.deepEqual(section && whole(section), body);
        }
        let end = 0;
        for (const { virtualAddress, virtualSize } of result.sections) {
          assert.ok(virtualAddress >= end && virtualAddress % result.sectionAlignment === 0);
          end = virtualAddress + virtualSize;
        }
        assert.equal(result.sizeOfImage, Math.ceil(end / result.sectionAlignment) * result.sectionAlignment);
      },
    ),
    { numRuns: 60 },
  );
});

test('what cannot be appended is refused', () => {
  const image = sourceOf(makePe({}));
  const body = sourceOf(Uint8Array.of(1));
  const huge = segmentSource([], 0xffff_f000);
  assert.throws(() => appendSections(image, [{ name: '.toolongname', body }]), FormatError);
  assert.throws(() => appendSections(image, [{ name: '.x', body: sourceOf(new Uint8Array()) }]), FormatError);
  assert.throws(() => appendSections(image, [{ name: '.x', body: huge }]), /4 GiB/);
  const many = Array.from({ length: 30 }, (_, i) => ({ name: `.s${i}`, body }));
  assert.throws(() => appendSections(image, many), /section headers need/);
  const signed = finish(boot, planPeSignature(image, boot.certificate));
  assert.throws(() => appendSections(signed, [{ name: '.x', body }]), /signed/);
});

test(
  'a UKI from the distribution stub has what went in, and equals ukify section by section',
  needsStub,
  async (t) => {
    if (stub === undefined) return;
    using dir = scratch('uki');
    const linux = makePe({ trailing: 100 });
    const initrd = new Uint8Array(5000).fill(7);
    const parts = { cmdline: 'console=ttyS0 quiet', osRelease: 'ID=test\n', uname: '7.3.0-amd64' };
    const uki = buildUki({
      stub: sourceOf(stub),
      linux: sourceOf(linux),
      initrd: sourceOf(initrd),
      ...parts,
    });
    const image = parsePe(uki);
    const read = (name: string): Uint8Array | undefined => {
      const section = readUkiSection(image, name);
      return section && whole(section);
    };
    assert.deepEqual(read('.linux'), linux);
    assert.deepEqual(read('.initrd'), initrd);
    assert.equal(Buffer.from(read('.cmdline') ?? []).toString(), parts.cmdline);
    assert.equal(read('.splash'), undefined);
    const sbat = 'sbat,1,x\nosguard,1,osguard,osguard,1,https://example.org\n';
    const withSbat = parsePe(buildUki({ stub: sourceOf(stub), linux: sourceOf(linux), sbat }));
    const merged = readUkiSection(withSbat, '.sbat');
    assert.match(
      Buffer.from(merged?.read(0, merged.size) ?? []).toString(),
      /^sbat,1,.*\nsystemd(-stub)?,1,(.*\n)+osguard,1,/,
    );

    writeFileSync(dir.file('uki.efi'), whole(uki));
    const dump = judge('objdump')?.run(['-h', '-w', 'uki.efi'], { cwd: dir.path });
    if (dump !== undefined) assert.match(dump.stdout, /\.linux {7}/, dump.stderr);
    const ukify = judge('ukify');
    await t.test('ukify', { skip: ukify ? false : noJudge('ukify') }, () => {
      if (ukify === undefined) return;
      writeFileSync(dir.file('stub'), stub);
      writeFileSync(dir.file('linux'), linux);
      writeFileSync(dir.file('initrd'), initrd);
      const made = ukify.run(
        [
          'build',
          '--efi-arch=x64',
          '--stub=stub',
          '--linux=linux',
          '--initrd=initrd',
          '--output=theirs.efi',
          `--cmdline=${parts.cmdline}`,
          `--os-release=${parts.osRelease}`,
          `--uname=${parts.uname}`,
        ],
        { cwd: dir.path },
      );
      assert.equal(made.status, 0, made.stderr);
      const theirs = parsePe(sourceOf(readFileSync(dir.file('theirs.efi'))));
      const added = theirs.sections.slice(parsePe(sourceOf(stub)).sections.length);
      for (const { name, characteristics } of added) {
        const section = readUkiSection(theirs, name);
        // ukify gives .linux the memory its own header asks for, and .sbat replaces the stub's.
        if (name !== '.sbat') assert.deepEqual(read(name), section && whole(section), name);
        assert.equal(
          image.sections.find((each) => each.name === name)?.characteristics,
          characteristics,
          name,
        );
      }
    });
  },
);

test('SBAT entries are joined once, and nonsense is refused', () => {
  const stubText =
    'sbat,1,SBAT Version,sbat,1,https://x\nsystemd-stub,1,The systemd Developers,systemd,257,https://systemd.io/\n\0';
  const text = mergeSbat(stubText, 'sbat,1,y\nosguard,1,osguard\nosguard,1,osguard\n');
  assert.deepEqual(
    text.split('\n').map((line) => line.split(',')[0]),
    ['sbat', 'systemd-stub', 'osguard', ''],
  );
  assert.throws(() => mergeSbat(stubText, 'osguard'), FormatError);
});
