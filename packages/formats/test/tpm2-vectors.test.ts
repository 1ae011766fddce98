/** Quotes and keys of real machines and of other projects' tests: every row of the families that hold TPM structures. */

import assert from 'node:assert/strict';
import { createHash, createPublicKey } from 'node:crypto';
import { describe, it } from 'node:test';
import { FormatError, fromHex, toHex } from '@osguard/formats/bytes';
import type { TpmHash, TpmPublic, TpmSignature } from '@osguard/formats/tpm2';
import {
  attributeNames,
  ekCertificateUsage,
  encodeAttest,
  encodeObjectAttributes,
  encodePublicArea,
  encodeTpmSignature,
  isTpmHash,
  keyFieldsOf,
  objectAttributes,
  parseAttest,
  parseEkCertificate,
  parsePublicArea,
  parseSizedPublicArea,
  parseTpmSignature,
  pcrSelectionDigest,
  publicAreaName,
  publicKeyOf,
  verifyTpmSignature,
} from '@osguard/formats/tpm2';
import { findTrustPath, parseCertificate } from '@osguard/formats/x509';
import { noVectors, vectors } from '@osguard/testkit';

interface ExpectedAttest {
  readonly qualifiedSigner: string;
  readonly extraData: string;
  readonly clock: number;
  readonly resetCount: number;
  readonly restartCount: number;
  readonly safe: number;
  readonly firmwareVersion: string;
  readonly pcrSelect: readonly { readonly alg: string; readonly pcrs: readonly number[] }[];
  readonly pcrDigest: string;
}

interface QuoteCase {
  readonly area: TpmPublic;
  readonly message: Uint8Array;
  readonly signature: TpmSignature;
  readonly pcrs: readonly Uint8Array[];
  readonly bank: TpmHash;
}

const found = vectors();
const skip = found === undefined ? noVectors : false;

describe('quotes of the public vectors', { skip }, () => {
  if (found === undefined) return;
  const rows = found.rows('3-tpm-quotes-and-certs');
  const row = (id: string): Record<string, unknown> => {
    const match = rows.find((candidate) => candidate.id === id);
    assert.ok(match, id);
    return match['expected'] as Record<string, unknown>;
  };
  const json = (path: string): unknown => JSON.parse(Buffer.from(found.file(path)).toString('utf8'));

  function azure(id: string, file: string): QuoteCase {
    const raw = json(`quotes/trustee/${file}`) as Record<string, unknown>;
    const quote = (raw['quote'] ?? raw['tpm_quote'] ?? raw) as Record<string, unknown>;
    return {
      area: keyArea(String(row(id)['ak_spki_pem'])),
      message: hexOrArray(quote['message']),
      signature: { scheme: 'rsassa', hash: 'sha256', signature: hexOrArray(quote['signature']) },
      pcrs: (quote['pcrs'] as unknown[]).map(hexOrArray),
      bank: 'sha256',
    };
  }

  const azureFiles: Readonly<Record<string, string>> = {
    'quote/trustee/az-snp-evidence-v0': 'az-snp-vtpm__evidence-v0.json',
    'quote/trustee/az-snp-evidence-v1': 'az-snp-vtpm__evidence-v1.json',
    'quote/trustee/az-snp-tpm-quote-v1': 'az-snp-vtpm__tpm-quote-v1.json',
  };
  for (const [id, file] of Object.entries(azureFiles)) {
    it(id, () => {
      checkQuote(azure(id, file), row(id)['attest'] as ExpectedAttest);
    });
  }

  const generic = 'quote/trustee/tpm-evidence';
  it(generic, () => {
    const raw = json('quotes/trustee/tpm_evidence.json') as {
      ak_public: string;
      tpm_quote: { message: string; signature: string; pcrs: string[] };
    };
    const signature = Buffer.from(raw.tpm_quote.signature, 'base64');
    const parsed = parseTpmSignature(signature);
    assert.deepEqual(encodeTpmSignature(parsed), new Uint8Array(signature));
    checkQuote(
      {
        area: keyArea(String(row(generic)['ak_spki_pem'])),
        message: Buffer.from(raw.tpm_quote.message, 'base64'),
        signature: parsed,
        pcrs: raw.tpm_quote.pcrs.map((value) => fromHex(value)),
        bank: 'sha256',
      },
      row(generic)['attest'] as ExpectedAttest,
    );
  });

  const keylime = 'quote/keylime/tpm2-tools-files';
  it(keylime, () => {
    const area = parseSizedPublicArea(bytesOf(found.file('quotes/keylime/ak.pub')));
    checkArea(area, row(keylime)['ak'] as Record<string, unknown>);
    assert.deepEqual(publicAreaName(area), new Uint8Array(found.file('quotes/keylime/ak.name')));
    const pem = Buffer.from(found.file('quotes/keylime/akpub.pem')).toString();
    assert.ok(publicKeyOf(area).equals(createPublicKey(pem)));
    const message = found.file('quotes/keylime/quote.out');
    const signature = parseTpmSignature(found.file('quotes/keylime/quotesig.out'));
    const values = row(keylime)['pcrs'] as Record<string, Record<string, string>>;
    const pcrs: Uint8Array[] = [];
    for (const [pcr, hex] of Object.entries(values['sha256'] ?? {})) pcrs[Number(pcr)] = fromHex(hex);
    checkQuote({ area, message, signature, pcrs, bank: 'sha256' }, row(keylime)['attest'] as ExpectedAttest);
  });

  const gce = 'quote/go-tpm-tools/gce-cos-85-no-nonce';
  it(gce, () => {
    const message = protobuf(found.file('quotes/go-tpm-tools/gce-cos-85-no-nonce.pb'));
    const area = parsePublicArea(bytesOf(message.get(1)?.[0]));
    checkArea(area, row(gce)['ak'] as Record<string, unknown>);
    const expected = row(gce)['quotes'] as { bank: string; attest: ExpectedAttest; pcrs: object }[];
    assert.equal(message.get(2)?.length, expected.length);
    for (const [i, raw] of (message.get(2) ?? []).entries()) {
      const fields = protobuf(raw);
      const want = expected[i];
      assert.ok(want !== undefined && isTpmHash(want.bank));
      checkQuote(
        {
          area,
          message: fields.get(1)?.[0] ?? new Uint8Array(),
          signature: parseTpmSignature(fields.get(2)?.[0] ?? new Uint8Array()),
          pcrs: Object.values(want.pcrs).map((hex) => fromHex(String(hex))),
          bank: want.bank,
        },
        want.attest,
      );
    }
  });

  const base = azure('quote/trustee/az-snp-tpm-quote-v1', 'az-snp-vtpm__tpm-quote-v1.json');
  for (const negative of rows.filter((candidate) => candidate['family'] === 'tpm-quote-negative')) {
    const mutation = negative['mutation'] as Record<string, unknown>;
    // The hardware report around the quote is no structure of a TPM.
    if (mutation['file'] !== undefined) continue;
    it(`${negative.id} is refused`, () => {
      assert.ok(!holds(mutate(base, mutation)));
      assert.ok(holds(base));
    });
  }
});

function hexOrArray(value: unknown): Uint8Array {
  return typeof value === 'string' ? fromHex(value) : Uint8Array.from(value as number[]);
}

/** Without the Buffer around it, so that deep comparison looks at contents only. */
function bytesOf(bytes: Uint8Array | undefined): Uint8Array {
  return Uint8Array.from(bytes ?? []);
}

function keyArea(pem: string): TpmPublic {
  const fields = keyFieldsOf(createPublicKey(pem));
  const common = {
    nameAlg: 'sha256',
    attributes: objectAttributes('restricted', 'sign'),
    authPolicy: new Uint8Array(),
    symmetric: null,
    scheme: null,
  } as const;
  return fields.type === 'rsa' ? { ...common, ...fields } : { ...common, ...fields };
}

function checkArea(area: TpmPublic, expected: Record<string, unknown>): void {
  assert.equal(area.type, expected['type']);
  assert.equal(encodeObjectAttributes(area.attributes).toString(16).padStart(8, '0'), expected['attributes']);
  assert.deepEqual(attributeNames(area.attributes), expected['attributeNames']);
  assert.equal(toHex(publicAreaName(area)), expected['name']);
  assert.deepEqual(parsePublicArea(encodePublicArea(area)), area);
  assert.ok(publicKeyOf(area).equals(createPublicKey(String(expected['spki_pem']))));
}

function checkQuote(quote: QuoteCase, expected: ExpectedAttest): void {
  const attest = parseAttest(quote.message);
  assert.ok(attest.type === 'quote');
  assert.equal(toHex(attest.qualifiedSigner), expected.qualifiedSigner);
  assert.equal(toHex(attest.extraData), expected.extraData);
  assert.equal(Number(attest.clockInfo.clock), expected.clock);
  assert.equal(attest.clockInfo.resetCount, expected.resetCount);
  assert.equal(attest.clockInfo.restartCount, expected.restartCount);
  assert.equal(attest.clockInfo.safe, expected.safe === 1);
  assert.equal(attest.firmwareVersion.toString(16).padStart(16, '0'), expected.firmwareVersion);
  assert.deepEqual(
    attest.pcrSelections.map(({ bank, pcrs }) => ({ alg: bank, pcrs })),
    expected.pcrSelect,
  );
  assert.equal(toHex(attest.pcrDigest), expected.pcrDigest);
  assert.deepEqual(new Uint8Array(encodeAttest(attest)), new Uint8Array(quote.message));
  assert.ok(holds(quote));
}

function holds({ area, message, signature, pcrs, bank }: QuoteCase): boolean {
  try {
    const attest = parseAttest(message);
    if (attest.type !== 'quote' || !verifyTpmSignature(area, signature, message)) return false;
    const values = { [bank]: new Map(pcrs.entries()) };
    const digest = pcrSelectionDigest(attest.pcrSelections, values, signature.hash);
    return toHex(digest) === toHex(attest.pcrDigest);
  } catch (error) {
    assert.ok(error instanceof FormatError, String(error));
    return false;
  }
}

function mutate(quote: QuoteCase, mutation: Record<string, unknown>): QuoteCase {
  const change = (bytes: Uint8Array): Uint8Array => {
    const copy = Uint8Array.from(bytes);
    if (typeof mutation['set_hex'] === 'string') {
      copy.set(fromHex(mutation['set_hex']), Number(mutation['offset']));
    } else if (typeof mutation['append_hex'] === 'string') {
      return Buffer.concat([copy, fromHex(mutation['append_hex'])]);
    } else {
      const at = Number(mutation['byte']);
      copy[at] = (copy[at] ?? 0) ^ Number(mutation['xor']);
    }
    return copy;
  };
  if (mutation['field'] === 'message') return { ...quote, message: change(quote.message) };
  if (mutation['field'] === 'pcrs[0]') {
    return { ...quote, pcrs: quote.pcrs.map((value, i) => (i === 0 ? change(value) : value)) };
  }
  assert.equal(mutation['field'], 'signature');
  assert.ok(quote.signature.scheme !== 'ecdsa');
  return { ...quote, signature: { ...quote.signature, signature: change(quote.signature.signature) } };
}

/** Length-delimited fields of a protobuf message, by number; others are passed over. */
function protobuf(bytes: Uint8Array): Map<number, Uint8Array[]> {
  const fields = new Map<number, Uint8Array[]>();
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at] ?? 0;
      at += 1;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const length = varint();
    if ((tag & 7) !== 2) continue;
    fields.set(tag >> 3, [...(fields.get(tag >> 3) ?? []), bytes.subarray(at, at + length)]);
    at += length;
  }
  return fields;
}

describe('certificates of endorsement keys', { skip }, () => {
  if (found === undefined) return;
  const rows = found.rows('3-tpm-quotes-and-certs').filter((row) => row['family'] === 'certificate');
  for (const row of rows) {
    const [first] = (row['files'] as { file: string }[] | undefined) ?? [];
    if (first === undefined || row['base'] !== undefined) continue;
    it(row.id, () => {
      const expected = row['expected'] as Record<string, unknown>;
      const ek = parseEkCertificate(certificateBytes(found.file(first.file)));
      assert.equal(ek.certificate.fingerprint, expected['der_sha256']);
      const usage = expected['ek_eku_2.23.133.8.1'] === true;
      assert.equal(ek.extendedKeyUsages.includes(ekCertificateUsage), usage);
    });
  }

  it('says which TPM it belongs to, and may be padded', () => {
    const padded = bytesOf(found.file('certs/keylime/st_rsa_ek_with_ff_padding.der'));
    const ek = parseEkCertificate(padded);
    assert.equal(padded.length, 1600);
    assert.equal(ek.certificate.der.length, 1169);
    assert.match(ek.manufacturer ?? '', /^id:53544D20$/);
    assert.match(ek.version ?? '', /^id:/);
    assert.ok(ek.model !== undefined && !ek.authority);
    assert.throws(() => parseEkCertificate(padded.with(1400, 0)), /not padding/);
    assert.throws(() => parseEkCertificate(new Uint8Array()), FormatError);
    const chain = ['STM_RSA_05I', 'STM_RSA_RT', 'GS_TPM_RT'].map((name) =>
      parseCertificate(certificateBytes(found.file(`certs/keylime/store/${name}.pem`))),
    );
    const [issuer, ...trusted] = chain;
    assert.ok(issuer);
    assert.ok(findTrustPath(ek.certificate, { trusted, others: [issuer] }));
    assert.equal(findTrustPath(ek.certificate, { trusted, others: [] }), undefined);
  });
});

function certificateBytes(file: Uint8Array): Uint8Array {
  const text = Buffer.from(file).toString('latin1');
  const body = /-----BEGIN CERTIFICATE-----([^-]+)-----END/.exec(text)?.[1];
  return bytesOf(body === undefined ? file : Buffer.from(body, 'base64'));
}

describe('fingerprints', { skip }, () => {
  it('the digest part of a Name is the SHA-256 of the TPMT_PUBLIC', () => {
    assert.ok(found);
    const area = parseSizedPublicArea(bytesOf(found.file('quotes/keylime/ak.pub')));
    const digest = createHash('sha256').update(encodePublicArea(area)).digest('hex');
    assert.equal(toHex(publicAreaName(area).subarray(2)), digest);
  });
});
