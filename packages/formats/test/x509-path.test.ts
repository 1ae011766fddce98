import assert from 'node:assert/strict';
import { test } from 'node:test';
import { equalBytes } from '@osguard/formats/bytes';
import { parseEkCertificate } from '@osguard/formats/tpm2';
import { decodePem, keyUsages, parseCertificate, validatePath } from '@osguard/formats/x509';
import type { Certificate } from '@osguard/formats/x509';
import { noVectors, vectors } from '@osguard/testkit';

const known = vectors();
const skip = known === undefined ? { skip: noVectors } : {};
const now = Date.parse('2026-11-22T10:00:00Z');
const understood = ['2.5.29.17', '2.5.29.37'];

function read(path: string): Certificate {
  const bytes = known?.file(path) ?? new Uint8Array();
  if (bytes[0] === 0x30) return parseEkCertificate(bytes).certificate;
  const [der] = decodePem('CERTIFICATE', Buffer.from(bytes).toString('latin1'));
  return parseCertificate(der ?? new Uint8Array());
}

const google = 'certs/go-tpm-tools';
const rows = [
  {
    leaf: `${google}/pca_tpm_rsa_enc_cert.pem`,
    middle: `${google}/ca/gcp_ek_ak_ca_intermediate_v3.crt`,
    root: `${google}/ca/gcp_ek_ak_ca_root.crt`,
    usage: 'keyEncipherment',
  },
  {
    leaf: `${google}/uca_tpm_ecc_enc_cert.pem`,
    middle: `${google}/ca/tpm_ek_intermediate_3.crt`,
    root: `${google}/ca/tpm_ek_root_1.cer`,
    usage: 'keyAgreement',
  },
  {
    leaf: 'certs/keylime/st_rsa_ek_with_ff_padding.der',
    middle: 'certs/keylime/store/STM_RSA_05I.pem',
    root: 'certs/keylime/store/STM_RSA_RT.pem',
    usage: 'keyEncipherment',
  },
] as const;

for (const { leaf, middle, root, usage } of rows) {
  test(`path of ${leaf}`, skip, () => {
    const certificate = read(leaf);
    const context = { anchors: [read(root)], others: [read(middle)], now, understood };
    const verdict = validatePath(certificate, context);
    assert.ok(verdict.ok, verdict.ok ? '' : verdict.detail);
    assert.equal(verdict.path.length, 3);
    assert.deepEqual(keyUsages(certificate)?.includes(usage), true);
    const problem = (changes: Partial<typeof context>): string => {
      const other = validatePath(certificate, { ...context, ...changes });
      return other.ok ? 'ok' : other.problem;
    };
    assert.equal(problem({ others: [] }), 'no-path');
    const foreign = read(rows.find((row) => row.root !== root)?.root ?? '');
    assert.equal(problem({ anchors: [foreign] }), 'no-path');
    assert.equal(problem({ anchors: [] }), 'no-path');
    assert.equal(problem({ now: Date.parse('2100-01-01T00:00:00Z') }), 'expired');
    assert.equal(problem({ now: Date.parse('1999-01-01T00:00:00Z') }), 'not-yet-valid');
    assert.equal(problem({ now: Number.NaN }), 'not-yet-valid');
    // The leaf itself is no anchor: it has to be issued by one.
    assert.equal(problem({ anchors: [certificate], others: [] }), 'no-path');
  });
}

test('one certificate expires in the middle of a path', skip, () => {
  const iak = read('certs/keylime/iak.der');
  const chain = decodePem(
    'CERTIFICATE',
    Buffer.from(known?.file('certs/keylime/iak_idevid_chain.pem') ?? []).toString('latin1'),
  ).map((der) => parseCertificate(der));
  const anchors = chain.filter((one) => equalBytes(one.subject, one.issuer));
  const at = (time: string): string => {
    const verdict = validatePath(iak, { anchors, others: chain, now: Date.parse(time), understood });
    return verdict.ok ? 'ok' : verdict.problem;
  };
  assert.equal(at('2024-06-01T00:00:00Z'), 'ok');
  assert.equal(at('2026-11-22T00:00:00Z'), 'expired');
});
