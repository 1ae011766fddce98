import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { FormatError } from '@osguard/formats/bytes';
import { allSignersGood, parseSignedData, verifySignedData } from '@osguard/formats/cms';
import {
  decodePem,
  findTrustPath,
  importPublicKey,
  isSignedBy,
  parseCertificate,
} from '@osguard/formats/x509';
import type { Certificate } from '@osguard/formats/x509';
import { judge, noJudge, scratch } from '@osguard/testkit';
import type { Scratch } from '@osguard/testkit';
import { makeSigner } from './test-signer.ts';

const openssl = judge('openssl');
const needsOpenssl = openssl === undefined ? { skip: noJudge('openssl') } : {};

/** root → middle → leaf, and a certificate that the leaf, which is no authority, signed. */
function makeChain(dir: Scratch): Readonly<Record<'root' | 'middle' | 'leaf' | 'forged', Certificate>> {
  const run = (args: readonly string[]): void => {
    const done = openssl?.run(args, { cwd: dir.path });
    assert.equal(done?.status, 0, done?.stderr);
  };
  const authority = 'basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign\n';
  writeFileSync(dir.file('ca.ext'), authority);
  writeFileSync(
    dir.file('leaf.ext'),
    'basicConstraints=critical,CA:false\nkeyUsage=critical,digitalSignature\n',
  );
  writeFileSync(dir.file('plain.ext'), 'subjectKeyIdentifier=hash\n');
  const issue = (name: string, issuer: string | undefined, ext: string): Certificate => {
    const request = ['req', '-new', '-newkey', 'rsa:2048', '-nodes', '-subj', `/CN=${name}`];
    run([...request, '-keyout', `${name}.key`, '-out', `${name}.csr`]);
    const by =
      issuer === undefined
        ? ['-key', `${name}.key`]
        : ['-CA', `${issuer}.crt`, '-CAkey', `${issuer}.key`, '-CAcreateserial'];
    run([
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      ...(issuer === undefined ? ['-signkey', `${name}.key`] : by),
      '-extfile',
      ext,
      '-days',
      '9000',
      '-out',
      `${name}.crt`,
    ]);
    const [der] = decodePem('CERTIFICATE', readFileSync(dir.file(`${name}.crt`), 'latin1'));
    return parseCertificate(der ?? new Uint8Array());
  };
  return {
    root: issue('root', undefined, 'ca.ext'),
    middle: issue('middle', 'root', 'ca.ext'),
    leaf: issue('leaf', 'middle', 'leaf.ext'),
    forged: issue('forged', 'leaf', 'plain.ext'),
  };
}

const names = (
  start: Certificate,
  trusted: readonly Certificate[],
  others: readonly Certificate[],
): string | undefined =>
  findTrustPath(start, { trusted, others })
    ?.map(({ commonName }) => commonName)
    .join(' ');

test('a path leads from a signer through authorities to a trusted certificate', needsOpenssl, () => {
  using dir = scratch('chain');
  const { root, middle, leaf, forged } = makeChain(dir);
  assert.equal(names(leaf, [root], [middle]), 'leaf middle root');
  assert.equal(names(leaf, [middle], []), 'leaf middle');
  assert.equal(names(leaf, [leaf], []), 'leaf');
  assert.equal(names(leaf, [root], []), undefined);
  assert.equal(names(leaf, [], [root, middle]), undefined);
  assert.equal(names(forged, [root], [leaf, middle]), undefined);
  assert.equal(names(forged, [leaf], []), undefined);
  assert.equal(names(leaf, [makeSigner('root').certificate], [middle]), undefined);
  // A chain that leads in a circle ends.
  assert.equal(names(root, [], [root, middle, leaf]), undefined);

  const sign = [
    'cms',
    '-sign',
    '-binary',
    '-in',
    'root.crt',
    '-outform',
    'der',
    '-out',
    's.p7s',
    '-signer',
    'leaf.crt',
    '-inkey',
    'leaf.key',
  ];
  assert.equal(openssl?.run([...sign, '-certfile', 'middle.crt'], { cwd: dir.path }).status, 0);
  const message = parseSignedData(readFileSync(dir.file('s.p7s')));
  const content = readFileSync(dir.file('root.crt'));
  const [good] = verifySignedData(message, { trusted: [root], content });
  assert.ok(good?.ok);
  assert.equal(good.anchor?.commonName, 'root');
  assert.ok(!allSignersGood(verifySignedData(message, { trusted: [forged], content })));
});

test('weak keys are refused', needsOpenssl, () => {
  using dir = scratch('weak');
  const cases: readonly (readonly string[])[] = [
    ['-newkey', 'rsa:1024'],
    ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:secp256k1'],
    ['-newkey', 'ed25519'],
  ];
  for (const kind of cases) {
    const args = ['req', '-x509', ...kind, '-nodes', '-subj', '/CN=weak', '-keyout', 'k', '-out', 'c'];
    assert.equal(openssl?.run(args, { cwd: dir.path }).status, 0);
    const [der] = decodePem('CERTIFICATE', readFileSync(dir.file('c'), 'latin1'));
    const certificate = parseCertificate(der ?? new Uint8Array());
    assert.throws(() => importPublicKey(certificate), FormatError, kind.join(' '));
    const claim = {
      digestAlgorithm: 'sha256',
      data: certificate.tbs,
      signature: certificate.signature,
    } as const;
    assert.throws(() => isSignedBy(certificate, claim), FormatError);
  }
});
