/** Revocation lists: openssl makes them, our own reader says the same, and what it would misread it refuses. */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { FormatError } from '@osguard/formats/bytes';
import { decodePem, isListOf, parseCertificate, parseRevocationList } from '@osguard/formats/x509';
import type { Certificate } from '@osguard/formats/x509';
import { judge, noJudge, scratch } from '@osguard/testkit';
import { readFileSync } from 'node:fs';

const openssl = judge('openssl');
const skip = openssl === undefined ? { skip: noJudge('openssl') } : {};

const configuration = `[ca]
default_ca = own
[own]
database = index.txt
crlnumber = number
default_md = sha256
crl_extensions = plain
[plain]
authorityKeyIdentifier = keyid
[partial]
issuingDistributionPoint = critical, @point
[point]
onlyuser = TRUE
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
subjectKeyIdentifier = hash
keyUsage = keyCertSign, cRLSign
[signer]
basicConstraints = critical, CA:TRUE
keyUsage = keyCertSign
`;

interface Made {
  readonly list: Uint8Array;
  readonly partial: Uint8Array;
  readonly empty: Uint8Array;
  readonly authority: Certificate;
  /** The same key in a certificate that may not sign lists. */
  readonly signer: Certificate;
  readonly stranger: Certificate;
}

function make(): Made {
  using dir = scratch('revocation');
  const run = (...args: readonly string[]): void => {
    const { status, stderr } = openssl?.run(args, { cwd: dir.path }) ?? assert.fail();
    assert.equal(status, 0, stderr);
  };
  const lines = [
    'R\t360101000000Z\t260203040506Z,keyCompromise\t1F\tunknown\t/CN=one',
    'R\t360101000000Z\t260203040507Z\tA0B1C2D3\tunknown\t/CN=two',
    'V\t360101000000Z\t\t20\tunknown\t/CN=three',
  ];
  writeFileSync(dir.file('openssl.cnf'), configuration);
  writeFileSync(dir.file('index.txt'), `${lines.join('\n')}\n`);
  writeFileSync(dir.file('none.txt'), '');
  writeFileSync(dir.file('none.cnf'), configuration.replace('index.txt', 'none.txt'));
  writeFileSync(dir.file('number'), '1000\n');
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'key.pem'];
  const request = ['req', '-config', 'openssl.cnf', '-x509', '-subj', '/O=Maker/CN=TPM CA'];
  run(...request, ...ec, '-extensions', 'authority', '-out', 'ca.pem');
  run(...request, '-key', 'key.pem', '-extensions', 'signer', '-out', 'signer.pem');
  const gencrl = ['ca', '-gencrl', '-cert', 'ca.pem', '-keyfile', 'key.pem'];
  const times = ['-crl_lastupdate', '20261101000000Z', '-crl_nextupdate', '20261201000000Z'];
  run(...gencrl, '-config', 'openssl.cnf', ...times, '-out', 'list.pem');
  run(...gencrl, '-config', 'openssl.cnf', ...times, '-crlexts', 'partial', '-out', 'partial.pem');
  run(...gencrl, '-config', 'none.cnf', ...times, '-out', 'empty.pem');
  run(...request, ...ec, '-extensions', 'authority', '-out', 'other.pem');
  const read = (label: string, file: string): Uint8Array =>
    decodePem(label, readFileSync(dir.file(file), 'latin1'))[0] ?? assert.fail(file);
  const certificate = (file: string): Certificate => parseCertificate(read('CERTIFICATE', file));
  return {
    list: read('X509 CRL', 'list.pem'),
    partial: read('X509 CRL', 'partial.pem'),
    empty: read('X509 CRL', 'empty.pem'),
    authority: certificate('ca.pem'),
    signer: certificate('signer.pem'),
    stranger: certificate('other.pem'),
  };
}

void test('a list by openssl is read as it was made, and is its authority’s only', skip, () => {
  const { list, partial, empty, authority, signer, stranger } = make();
  const read = parseRevocationList(list);
  assert.equal(read.issuerText, authority.subjectText);
  assert.equal(new Date(read.thisUpdate).toISOString(), '2026-11-01T00:00:00.000Z');
  assert.equal(new Date(read.nextUpdate).toISOString(), '2026-12-01T00:00:00.000Z');
  // A DER integer is signed: a leading zero belongs to it.
  const expected = { '00a0b1c2d3': '2026-02-03T04:05:07Z', '1f': '2026-02-03T04:05:06Z' };
  assert.deepEqual(
    read.revoked,
    new Map(Object.entries(expected).map(([serial, at]) => [serial, Date.parse(at)])),
  );
  assert.equal(parseRevocationList(empty).revoked.size, 0);
  assert.throws(() => parseRevocationList(partial), /critical extension 2\.5\.29\.28/);
  assert.ok(isListOf(read, authority));
  assert.ok(!isListOf(read, stranger), 'the same name, another key');
  assert.ok(!isListOf(read, signer), 'a key that may not sign lists');
  for (const at of [read.der.length - 1, read.der.length - read.signature.length - 40]) {
    const changed = read.der.map((byte, index) => (index === at ? byte ^ 1 : byte));
    let held = false;
    try {
      held = isListOf(parseRevocationList(changed), authority);
    } catch (error) {
      assert.ok(error instanceof FormatError, String(error));
    }
    assert.ok(!held, `byte ${at}`);
  }
  for (const wrong of [list.subarray(0, -1), Buffer.concat([list, Uint8Array.of(0)]), authority.der]) {
    assert.throws(() => parseRevocationList(wrong), FormatError);
  }
});
