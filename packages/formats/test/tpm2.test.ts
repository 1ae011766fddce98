import assert from 'node:assert/strict';
import { constants, createECDH, createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { FormatError, fromHex, toHex } from '@osguard/formats/bytes';
import type { Attest, PcrSelection, TpmPublic } from '@osguard/formats/tpm2';
import {
  akTemplateP256,
  describeResponseCode,
  ekPolicyASha256,
  ekProfiles,
  ekTemplateP256,
  ekTemplateRsa2048,
  emptyPolicy,
  encodeAttest,
  encodeCommand,
  encodeDigestList,
  encodePcrSelections,
  encodePublicArea,
  encodeTpmSignature,
  handleName,
  keyFieldsOf,
  makeCredential,
  objectAttributes,
  openCredential,
  parseAttest,
  parseCommand,
  parseDigestList,
  parsePcrSelections,
  parsePublicArea,
  parseResponse,
  parseTpmSignature,
  pcrSelectionDigest,
  policyAuthorizeDigest,
  policyAuthValueDigest,
  policyPcrDigest,
  policySecretDigest,
  publicAreaName,
  publicAreaSpki,
  publicKeyOf,
  responseCodeText,
  sized,
  tpmHandle,
  verifyTpmSignature,
} from '@osguard/formats/tpm2';
import { noVectors, vectors } from '@osguard/testkit';

interface Input {
  readonly pcrs?: unknown;
  readonly modulus?: string;
  readonly pem?: string;
}

interface PolicyRow {
  readonly input: Input;
  readonly expected: Readonly<Record<string, string>>;
}

const found = vectors();

function fixed(size: number): Uint8Array {
  return new Uint8Array(size).fill(7);
}

function stuck(size: number): Uint8Array {
  return new Uint8Array(size);
}

describe('policy digests of the public vectors', { skip: found === undefined ? noVectors : false }, () => {
  if (found === undefined) return;
  const rows = found.rows('6-measure-and-policy');
  const of = (id: string): PolicyRow => {
    const row = rows.find((candidate) => candidate.id === `policy/${id}`);
    assert.ok(row, id);
    return { input: row['input'] ?? {}, expected: row['expected'] as Record<string, string> };
  };
  const hash = 'sha256' as const;

  it('PolicyPCR', () => {
    const { input, expected } = of('systemd/pcr-4-7-8');
    const values = Object.entries(input.pcrs as Record<string, string>);
    const pcrs = values.map(([pcr]) => Number(pcr));
    const banks = { sha256: new Map(values.map(([pcr, hex]) => [Number(pcr), fromHex(hex)])) };
    const selections = [{ bank: hash, pcrs }];
    const digest = pcrSelectionDigest(selections, banks, hash);
    const once = policyPcrDigest(selections, digest, { hash });
    assert.equal(toHex(once), expected['once']);
    assert.equal(toHex(policyPcrDigest(selections, digest, { hash, from: once })), expected['twice']);
  });

  it('PolicyAuthValue', () => {
    const { expected } = of('systemd/auth-value');
    const once = policyAuthValueDigest({ hash });
    assert.equal(toHex(once), expected['once']);
    assert.equal(toHex(policyAuthValueDigest({ hash, from: once })), expected['twice']);
  });

  it('PolicyAuthorize', () => {
    const { expected } = of('talos/authorize-no-pcrs');
    const pem = Buffer.from(found.file('policy/talos-pcr-signing.pub.pem')).toString();
    const fields = keyFieldsOf(createPublicKey(pem));
    assert.ok(fields.type === 'rsa');
    const key = unrestricted(fields);
    assert.equal(
      toHex(policyAuthorizeDigest(publicAreaName(key), { hash })),
      expected['policy_digest_sha256'],
    );
    const rsa = of('systemd/authorize-rsa');
    const storage = systemdStorageKey(rsa.input.modulus ?? '');
    assert.equal(toHex(policyAuthorizeDigest(publicAreaName(storage), { hash })), rsa.expected['digest']);
  });

  it('PolicySecret with the endorsement hierarchy is PolicyA of the EK profile', () => {
    const { expected } = of('systemd/ek-auth-policies');
    const policy = policySecretDigest(handleName(tpmHandle.endorsement), { hash });
    assert.equal(toHex(policy), expected['low_range_sha256']);
    assert.equal(toHex(ekPolicyASha256), expected['low_range_sha256']);
    assert.deepEqual(
      ekProfiles.slice(2, 5).map(({ template }) => toHex(template.authPolicy)),
      [expected['high_range_sha256'], expected['high_range_sha256'], expected['high_range_sha384']],
    );
  });

  it('Names', () => {
    const rsa = of('systemd/name-rsa');
    assert.equal(toHex(publicAreaName(systemdStorageKey(rsa.input.modulus ?? ''))), rsa.expected['name']);
    const ecc = of('systemd/pem-ecc-p256');
    const fields = keyFieldsOf(createPublicKey(ecc.input.pem ?? ''));
    assert.ok(fields.type === 'ecc');
    assert.equal(toHex(fields.x), ecc.expected['x']);
    assert.equal(toHex(publicAreaName(unrestricted({ ...fields }))), ecc.expected['name']);
  });

  it('PCR selections', () => {
    for (const name of ['talos/selector-empty', 'talos/selector-21-22-23']) {
      const { input, expected } = of(name);
      const bytes = encodePcrSelections([{ bank: hash, pcrs: input.pcrs as number[] }]);
      assert.equal(toHex(bytes.subarray(7)), expected['selection_hex']);
    }
  });
});

function unrestricted(fields: ReturnType<typeof keyFieldsOf>): TpmPublic {
  const common = {
    nameAlg: 'sha256',
    attributes: objectAttributes('userWithAuth', 'decrypt', 'sign'),
    authPolicy: new Uint8Array(),
    symmetric: null,
    scheme: null,
  } as const;
  return fields.type === 'rsa' ? { ...common, ...fields } : { ...common, ...fields };
}

function systemdStorageKey(modulus: string): TpmPublic {
  return {
    type: 'rsa',
    nameAlg: 'sha256',
    attributes: objectAttributes(
      'fixedTPM',
      'fixedParent',
      'sensitiveDataOrigin',
      'userWithAuth',
      'restricted',
      'decrypt',
    ),
    authPolicy: new Uint8Array(),
    symmetric: { algorithm: 'aes', keyBits: 128, mode: 'cfb' },
    scheme: null,
    keyBits: 2048,
    exponent: 0,
    modulus: fromHex(modulus),
  };
}

const rsaPair = generateKeyPairSync('rsa', { modulusLength: 2048 });
const p256Pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const p384Pair = generateKeyPairSync('ec', { namedCurve: 'P-384' });

function filled(template: TpmPublic, key: KeyObject): TpmPublic {
  const fields = keyFieldsOf(key);
  assert.equal(fields.type, template.type);
  if (fields.type === 'rsa' && template.type === 'rsa') return { ...template, modulus: fields.modulus };
  if (fields.type === 'ecc' && template.type === 'ecc') return { ...template, x: fields.x, y: fields.y };
  throw new Error('another kind of key');
}

describe('public areas', () => {
  it('every template round trips and its Name changes with each attribute', () => {
    for (const { template } of ekProfiles) {
      assert.deepEqual(parsePublicArea(encodePublicArea(template)), template);
      const other = { ...template, attributes: { ...template.attributes, noDA: true } };
      assert.notDeepEqual(publicAreaName(other), publicAreaName(template));
    }
  });

  it('become the SubjectPublicKeyInfo that the runtime writes', () => {
    for (const [template, pair] of [
      [ekTemplateRsa2048, rsaPair],
      [ekTemplateP256, p256Pair],
    ] as const) {
      const der = pair.publicKey.export({ format: 'der', type: 'spki' });
      assert.equal(toHex(publicAreaSpki(filled(template, pair.publicKey))), der.toString('hex'));
    }
  });

  it('a template, and a point beside its curve, are no keys', () => {
    assert.throws(() => publicKeyOf(ekTemplateRsa2048), FormatError);
    assert.throws(() => publicKeyOf(ekTemplateP256), FormatError);
    const area = filled(akTemplateP256, p256Pair.publicKey);
    assert.ok(area.type === 'ecc');
    const y = area.y.map((byte, i) => (i === 31 ? byte ^ 1 : byte));
    assert.throws(() => publicKeyOf({ ...area, y }), FormatError);
  });

  it('trailing bytes, reserved attributes and odd policies are refused', () => {
    const bytes = encodePublicArea(akTemplateP256);
    assert.throws(() => parsePublicArea(Uint8Array.from([...bytes, 0])), /1 bytes too many/);
    for (const at of [4, 7]) {
      const broken = bytes.with(at, 0x81);
      assert.throws(() => parsePublicArea(broken), /reserved object attributes/);
    }
    const policy = { ...akTemplateP256, authPolicy: new Uint8Array(20) };
    assert.throws(() => parsePublicArea(encodePublicArea(policy)), /authorization policy of 20 bytes/);
  });
});

describe('signatures', () => {
  const message = Buffer.from('what was quoted');

  it('ECDSA verifies under the key, scheme and message it was made with only', () => {
    const area = filled(akTemplateP256, p256Pair.publicKey);
    const raw = sign('sha256', message, { key: p256Pair.privateKey, dsaEncoding: 'ieee-p1363' });
    const signature = {
      scheme: 'ecdsa',
      hash: 'sha256',
      r: raw.subarray(0, 32),
      s: raw.subarray(32),
    } as const;
    const bytes = encodeTpmSignature(signature);
    assert.ok(verifyTpmSignature(area, parseTpmSignature(bytes), message));
    assert.ok(!verifyTpmSignature(area, signature, Buffer.from('something else')));
    assert.ok(!verifyTpmSignature(area, { ...signature, hash: 'sha384' }, message));
    assert.ok(!verifyTpmSignature(area, { ...signature, hash: 'sha1' }, message));
    const long = { ...signature, r: Buffer.concat([Buffer.alloc(1), signature.r]) };
    assert.ok(!verifyTpmSignature(area, long, message));
    const zero = { ...signature, r: new Uint8Array(32), s: new Uint8Array(32) };
    assert.ok(!verifyTpmSignature(area, zero, message));
    assert.ok(!verifyTpmSignature(filled(ekTemplateRsa2048, rsaPair.publicKey), signature, message));
  });

  it('RSASSA and RSAPSS', () => {
    const area = filled({ ...ekTemplateRsa2048, symmetric: null }, rsaPair.publicKey);
    const key = rsaPair.privateKey;
    const ssa = sign('sha256', message, key);
    assert.ok(verifyTpmSignature(area, { scheme: 'rsassa', hash: 'sha256', signature: ssa }, message));
    assert.ok(!verifyTpmSignature(area, { scheme: 'rsapss', hash: 'sha256', signature: ssa }, message));
    for (const saltLength of [32, constants.RSA_PSS_SALTLEN_MAX_SIGN]) {
      const padding = constants.RSA_PKCS1_PSS_PADDING;
      const signature = sign('sha256', message, { key, padding, saltLength });
      assert.ok(verifyTpmSignature(area, { scheme: 'rsapss', hash: 'sha256', signature }, message));
    }
  });
});

describe('signatures of keys that are bound to a scheme', () => {
  const message = Buffer.from('what was quoted');

  it('verify under that scheme and hash only', () => {
    const key = rsaPair.privateKey;
    const padding = constants.RSA_PKCS1_PSS_PADDING;
    const pss = {
      scheme: 'rsapss',
      hash: 'sha256',
      signature: sign('sha256', message, { key, padding }),
    } as const;
    const ssa = { scheme: 'rsassa', hash: 'sha384', signature: sign('sha384', message, key) } as const;
    const free = filled({ ...ekTemplateRsa2048, symmetric: null }, rsaPair.publicKey);
    assert.ok(free.type === 'rsa');
    assert.ok(verifyTpmSignature(free, pss, message));
    assert.ok(verifyTpmSignature(free, ssa, message));
    const bound = { ...free, scheme: { name: 'rsassa', hash: 'sha256' } } as const;
    assert.ok(!verifyTpmSignature(bound, pss, message));
    assert.ok(!verifyTpmSignature(bound, ssa, message));
  });

  it('never verify with SHA-1', () => {
    const area = filled({ ...akTemplateP256, scheme: null }, p256Pair.publicKey);
    const raw = sign('sha1', message, { key: p256Pair.privateKey, dsaEncoding: 'ieee-p1363' });
    const signature = { scheme: 'ecdsa', hash: 'sha1', r: raw.subarray(0, 32), s: raw.subarray(32) } as const;
    assert.ok(!verifyTpmSignature(area, signature, message));
  });
});

describe('attestations', () => {
  const quote: Attest = {
    type: 'quote',
    qualifiedSigner: new Uint8Array(34),
    extraData: new Uint8Array(32),
    clockInfo: { clock: 5n, resetCount: 1, restartCount: 2, safe: true },
    firmwareVersion: 7n,
    pcrSelections: [{ bank: 'sha256', pcrs: [4, 7, 11] }],
    pcrDigest: new Uint8Array(32),
  };

  it('round trip', () => {
    const { pcrSelections: _, pcrDigest: __, ...common } = quote;
    const name = new Uint8Array(34);
    const certify = { ...common, type: 'certify', name, qualifiedName: name } as const;
    const creation = {
      ...common,
      type: 'creation',
      objectName: name,
      creationHash: new Uint8Array(32),
    } as const;
    for (const attest of [quote, certify, creation]) {
      assert.deepEqual(parseAttest(encodeAttest(attest)), attest);
    }
  });

  it('another magic, kind or length is refused', () => {
    const bytes = encodeAttest(quote);
    assert.throws(() => parseAttest(bytes.with(0, 0)), { code: 'not-this-format' });
    assert.throws(() => parseAttest(bytes.with(5, 0x14)), { code: 'unsupported' });
    assert.throws(() => parseAttest(bytes.with(5, 0x17)), FormatError);
    assert.throws(() => parseAttest(bytes.subarray(0, -1)), { code: 'truncated' });
    assert.throws(() => parseAttest(Uint8Array.from([...bytes, 0])), { code: 'malformed' });
    assert.throws(() => parseAttest(new Uint8Array(100_000)), { code: 'too-large' });
  });
});

describe('PCR selections', () => {
  const selection: fc.Arbitrary<PcrSelection> = fc.record(
    {
      bank: fc.constantFrom('sha1', 'sha256', 'sha384', 'sha512'),
      pcrs: fc.uniqueArray(fc.nat(23)).map((pcrs) => pcrs.toSorted((a, b) => a - b)),
    },
    { noNullPrototype: true },
  );

  it('round trip', () => {
    fc.assert(
      fc.property(fc.array(selection, { maxLength: 4 }), (selections) => {
        assert.deepEqual(parsePcrSelections(encodePcrSelections(selections)), selections);
      }),
    );
  });

  it('a selected PCR without value, or with one of another bank, is refused', () => {
    const selections = [{ bank: 'sha256', pcrs: [0, 1] }] as const;
    const banks = { sha256: new Map([[0, new Uint8Array(32)]]) };
    assert.throws(() => pcrSelectionDigest(selections, banks, 'sha256'), /PCR 1 of bank sha256/);
    banks.sha256.set(1, new Uint8Array(20));
    assert.throws(() => pcrSelectionDigest(selections, banks, 'sha256'), /20 bytes, not 32/);
  });

  it('more banks or PCRs than there can be are refused', () => {
    assert.throws(() => parsePcrSelections(fromHex('ffffffff')), { code: 'too-large' });
    assert.throws(() => encodePcrSelections([{ bank: 'sha256', pcrs: [24] }]), { code: 'not-encodable' });
  });
});

describe('credentials', () => {
  const pairs = [
    [ekTemplateRsa2048, rsaPair],
    [ekTemplateP256, p256Pair],
    [ekProfiles[4]?.template, p384Pair],
  ] as const;

  for (const [template, pair] of pairs) {
    assert.ok(template);
    it(`only the key they were made for opens them: ${template.type} ${template.nameAlg}`, () => {
      const ek = filled(template, pair.publicKey);
      const name = publicAreaName(filled(akTemplateP256, p256Pair.publicKey));
      const secret = Uint8Array.from(randomBytes(32));
      const made = makeCredential(ek, { name, secret, random: randomBytes });
      const options = { ek, privateKey: pair.privateKey, name };
      assert.deepEqual(Uint8Array.from(openCredential(made, options) ?? []), secret);
      const foreign = publicAreaName(ek);
      assert.equal(openCredential(made, { ...options, name: foreign }), undefined);
      const broken = made.credential.map((byte, i) => (i === 40 ? byte ^ 1 : byte));
      assert.equal(openCredential({ ...made, credential: broken }, options), undefined);
    });
  }

  it('the same randomness gives the same credential, of the sizes a TPM takes', () => {
    const ek = filled(ekTemplateRsa2048, rsaPair.publicKey);
    const request = { name: new Uint8Array(34), secret: new Uint8Array(16), random: fixed };
    const made = makeCredential(ek, request);
    assert.deepEqual(makeCredential(ek, request), made);
    assert.equal(made.credential.length, 2 + 34 + 18);
    assert.equal(made.secret.length, 2 + 256);
  });

  it('signing keys, long secrets and a stuck random source are refused', () => {
    const request = { name: new Uint8Array(34), secret: new Uint8Array(16), random: fixed };
    const ak = filled(akTemplateP256, p256Pair.publicKey);
    assert.throws(() => makeCredential(ak, request), { code: 'unsupported' });
    const ek = filled(ekTemplateP256, p256Pair.publicKey);
    assert.throws(() => makeCredential(ek, { ...request, secret: new Uint8Array(33) }), FormatError);
    assert.throws(() => makeCredential(ek, { ...request, random: stuck }), /no private key/);
  });

  it('the ephemeral point of an ECC credential is a point of the curve', () => {
    const ek = filled(ekTemplateP256, p256Pair.publicKey);
    const { secret } = makeCredential(ek, {
      name: new Uint8Array(34),
      secret: new Uint8Array(16),
      random: fixed,
    });
    const ecdh = createECDH('prime256v1');
    ecdh.setPrivateKey(fixed(32));
    const point = Buffer.from(ecdh.getPublicKey());
    assert.equal(
      toHex(secret),
      toHex(sized(Buffer.concat([sized(point.subarray(1, 33)), sized(point.subarray(33))]))),
    );
  });
});

describe('commands and responses', () => {
  it('round trip', () => {
    const auth = {
      session: tpmHandle.password,
      nonce: new Uint8Array(),
      attributes: { continueSession: true, decrypt: false, encrypt: true },
      hmac: Uint8Array.of(1, 2),
    };
    const command = { code: 0x131, handles: [tpmHandle.owner], auths: [auth], parameters: Uint8Array.of(9) };
    assert.deepEqual(
      parseCommand(encodeCommand(command), () => 1),
      command,
    );
    const plain = { ...command, auths: [] };
    assert.deepEqual(
      parseCommand(encodeCommand(plain), () => 1),
      plain,
    );
  });

  it('a response is as long as it says', () => {
    const bytes = fromHex('80010000000c000000000000');
    assert.deepEqual(parseResponse(bytes, { withHandle: false }).parameters, new Uint8Array(2));
    assert.throws(() => parseResponse(bytes.subarray(0, 11), { withHandle: false }), FormatError);
    assert.throws(() => parseResponse(fromHex('800100ffffff00000000'), { withHandle: false }), FormatError);
  });

  it('response codes have names', () => {
    assert.equal(responseCodeText(0x1c4), 'TPM_RC_VALUE of parameter 1 (0x1c4)');
    assert.equal(responseCodeText(0x98e), 'TPM_RC_AUTH_FAIL of session 1 (0x98e)');
    assert.equal(responseCodeText(0x18b), 'TPM_RC_HANDLE of handle 1 (0x18b)');
    assert.equal(responseCodeText(0x128), 'TPM_RC_PCR_CHANGED (0x128)');
    assert.equal(responseCodeText(0x922), 'TPM_RC_RETRY (0x922)');
    assert.equal(responseCodeText(0x921), 'TPM_RC_LOCKOUT (0x921)');
    assert.equal(responseCodeText(0x01e), 'TPM_RC_BAD_TAG (0x1e)');
    assert.equal(describeResponseCode(0x17f).name, 'UNKNOWN');
  });

  it('digest lists', () => {
    const digests = [new Uint8Array(32), new Uint8Array(20), emptyPolicy('sha384')];
    assert.deepEqual(parseDigestList(encodeDigestList(digests)), digests);
    assert.throws(() => parseDigestList(fromHex('00000009')), { code: 'too-large' });
  });
});
