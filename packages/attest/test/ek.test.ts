/** Enrolment with certificates of real manufacturers (public vectors). */

import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { test } from 'node:test';
import { judgeEnrolment } from '@osguard/attest';
import type { EnrolmentJudgement } from '@osguard/attest';
import {
  ekTemplateP256,
  ekTemplateRsa2048,
  encodePublicArea,
  keyFieldsOf,
  parseEkCertificate,
} from '@osguard/formats/tpm2';
import { decodePem, parseCertificate } from '@osguard/formats/x509';
import { noVectors, vectors } from '@osguard/testkit';
import { goodEnrolment } from '../negative/enrolment.ts';

const known = vectors();
const skip = known === undefined ? { skip: noVectors } : {};
const google = 'certs/go-tpm-tools';
const stm = 'certs/keylime';

function read(path: string): Uint8Array {
  const bytes = known?.file(path) ?? new Uint8Array();
  if (bytes[0] === 0x30) return bytes;
  return decodePem('CERTIFICATE', Buffer.from(bytes).toString('latin1'))[0] ?? new Uint8Array();
}

/** The endorsement key the certificate is for, with the profile's template. */
function areaOf(leaf: Uint8Array): Uint8Array {
  const { publicKey } = parseEkCertificate(leaf).certificate;
  const fields = keyFieldsOf(createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' }));
  return encodePublicArea(
    fields.type === 'rsa'
      ? { ...ekTemplateRsa2048, modulus: fields.modulus }
      : { ...ekTemplateP256, ...fields },
  );
}

function judge(leaf: string, chain: readonly string[], root: string): EnrolmentJudgement {
  const certificate = read(leaf);
  return judgeEnrolment(
    {
      ek: areaOf(certificate),
      ekCertificates: [certificate, ...chain.map(read)],
      ak: goodEnrolment().claim.ak,
    },
    {
      now: Date.parse('2026-11-22T10:00:00Z'),
      policy: {
        trust: {
          endorsementRoots: [parseCertificate(read(root))],
          endorsementIntermediates: [],
          endorsementKeys: new Set(),
          revocation: { lists: [], required: false, grace: 0 },
          release: [],
        },
      },
    },
  );
}

test('an RSA key of a chip, its certificate padded as the NV index has it', skip, () => {
  const judged = judge(
    `${stm}/st_rsa_ek_with_ff_padding.der`,
    [`${stm}/store/STM_RSA_05I.pem`],
    `${stm}/store/STM_RSA_RT.pem`,
  );
  assert.ok(judged.accepted, JSON.stringify(judged.checks.filter(({ ok }) => !ok)));
  assert.equal(judged.by, 'certificate');
  assert.match(judged.tpm?.manufacturer ?? '', /^id:[0-9A-F]{8}$/);
});

test('an ECC key of a cloud’s virtual TPM', skip, () => {
  const chain = [`${google}/ca/tpm_ek_intermediate_3.crt`];
  const judged = judge(`${google}/uca_tpm_ecc_enc_cert.pem`, chain, `${google}/ca/tpm_ek_root_1.cer`);
  assert.ok(judged.accepted, JSON.stringify(judged.checks.filter(({ ok }) => !ok)));
  assert.equal(
    judge(`${google}/uca_tpm_ecc_enc_cert.pem`, chain, `${google}/ca/gcp_ek_ak_ca_root.crt`).reason,
    'ek-certificate-path',
  );
  assert.equal(
    judge(`${google}/uca_tpm_ecc_enc_cert.pem`, [], `${google}/ca/tpm_ek_root_1.cer`).reason,
    'ek-certificate-path',
  );
});

test('a certificate that does not say it is for an endorsement key, and one for a signing key', skip, () => {
  const unsaid = judge(
    `${google}/pca_tpm_rsa_enc_cert.pem`,
    [`${google}/ca/gcp_ek_ak_ca_intermediate_v3.crt`],
    `${google}/ca/gcp_ek_ak_ca_root.crt`,
  );
  assert.equal(unsaid.reason, 'ek-certificate-usage');
  const signing = judge(
    `${google}/uca_tpm_rsa_sign_cert.pem`,
    [`${google}/ca/tpm_ek_intermediate_3.crt`],
    `${google}/ca/tpm_ek_root_1.cer`,
  );
  assert.equal(signing.reason, 'ek-certificate-usage');
});
