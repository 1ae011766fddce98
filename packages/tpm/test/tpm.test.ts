/** Against a software TPM: every command with every kind of authorization it is used with. */

import assert from 'node:assert/strict';
import { createHash, createPrivateKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { describe, it } from 'node:test';
import { toHex } from '@osguard/formats/bytes';
import type { PcrSelection, TpmPublic } from '@osguard/formats/tpm2';
import {
  akTemplateP256,
  ekProfiles,
  keyFieldsOf,
  makeCredential,
  objectAttributes,
  pcrSelectionDigest,
  policyAuthorizeDigest,
  policyAuthValueDigest,
  policyPcrDigest,
  policySecretDigest,
  handleName,
  srkTemplateP256,
  tpmHandle,
  verifyTpmSignature,
} from '@osguard/formats/tpm2';
import { judge, noJudge } from '@osguard/testkit';
import {
  activate,
  attestationKey,
  certify,
  clear,
  create,
  createPrimary,
  endorsementKey,
  evictControl,
  extendPcr,
  flushContext,
  getRandom,
  identify,
  isRefusal,
  listHandles,
  listPcrBanks,
  load,
  loadExternal,
  nvProvision,
  nvRead,
  policyAuthorize,
  policyAuthValue,
  policyGetDigest,
  policyPcr,
  policySecret,
  primaryQualifiedName,
  quote,
  quotePcrs,
  readPcrs,
  readPublic,
  releaseKey,
  selfTest,
  shutdown,
  unseal,
  verifySignature,
  withSession,
} from '@osguard/tpm';
import type { LoadedObject, Session, Tpm } from '@osguard/tpm';
import { startSwtpm } from './support/swtpm.ts';

const swtpm = judge('swtpm');
const skip = swtpm === undefined ? noJudge('swtpm') : false;
const bank = 'sha256' as const;

const sealedTemplate: TpmPublic = {
  type: 'keyedhash',
  nameAlg: 'sha256',
  attributes: objectAttributes('fixedTPM', 'fixedParent', 'userWithAuth'),
  authPolicy: new Uint8Array(),
  hmac: null,
  unique: new Uint8Array(),
};

/** A sealed object that only its policy opens. */
function sealedTo(authPolicy: Uint8Array): TpmPublic {
  return { ...sealedTemplate, attributes: objectAttributes('fixedTPM', 'fixedParent'), authPolicy };
}

/** Something that looks like a certificate from outside. */
function fake(size: number): Uint8Array {
  return Buffer.from([0x30, 0x82, size >> 8, size & 255, ...randomBytes(size)]);
}

async function storageKey(tpm: Tpm): Promise<LoadedObject> {
  return createPrimary(tpm, { hierarchy: 'owner', template: srkTemplateP256 });
}

async function sealed(
  tpm: Tpm,
  options: { readonly template: TpmPublic; readonly data: Uint8Array; readonly auth?: Uint8Array },
): Promise<LoadedObject> {
  const parent = await storageKey(tpm);
  const { template, data, auth = new Uint8Array() } = options;
  const object = await create(tpm, parent, { template, sensitive: { data, auth } });
  const loaded = await load(tpm, parent, object);
  await flushContext(tpm, parent.handle);
  return loaded;
}

/** Without a resource manager objects stay where they are. */
async function flushAll(tpm: Tpm): Promise<void> {
  for (const handle of await listHandles(tpm, 'transient')) await flushContext(tpm, handle);
}

/** One bit of the 16 sealed bytes in an answer to Unseal; other answers pass. */
function flipParameter(response: Uint8Array): Uint8Array {
  const view = new DataView(response.buffer, response.byteOffset);
  const unsealed = view.getUint16(0) === 0x8002 && view.getUint32(6) === 0 && view.getUint32(10) === 18;
  return unsealed ? response.map((byte, i) => (i === 20 ? byte ^ 1 : byte)) : response;
}

describe('a software TPM', { skip, timeout: 300_000 }, () => {
  if (swtpm === undefined) return;

  it('says who it is and gives random bytes', async () => {
    await using machine = await startSwtpm(swtpm);
    const { tpm } = machine;
    assert.equal((await identify(tpm)).manufacturer, 'IBM');
    await selfTest(tpm, { full: false });
    const random = await getRandom(tpm, 100);
    assert.equal(random.length, 100);
    assert.ok(new Set(random).size > 30);
    const banks = await listPcrBanks(tpm);
    assert.ok(banks.some((selection) => selection.bank === bank && selection.pcrs.length === 24));
    await shutdown(tpm);
  });

  it('PCRs are read in one go, however many, and extended', async () => {
    await using machine = await startSwtpm(swtpm);
    const { tpm } = machine;
    const all: PcrSelection[] = [{ bank, pcrs: Array.from({ length: 24 }, (_, pcr) => pcr) }];
    const before = await readPcrs(tpm, all);
    assert.equal(before[bank]?.size, 24);
    const event = createHash('sha256').update('event').digest();
    await extendPcr(tpm, 11, { [bank]: event });
    const after = await readPcrs(tpm, all);
    const expected = createHash('sha256').update(new Uint8Array(32)).update(event).digest('hex');
    assert.equal(toHex(after[bank]?.get(11) ?? new Uint8Array()), expected);
    await assert.rejects(
      readPcrs(tpm, [
        { bank: 'sha512', pcrs: [0] },
        { bank: 'sha1', pcrs: [0] },
      ]).then((got) => {
        if (got.sha512 !== undefined && got.sha1 !== undefined) throw new Error('all banks are on');
      }),
    );
  });

  it('the attestation key is the same each time until the TPM is cleared', async () => {
    await using machine = await startSwtpm(swtpm);
    const { tpm } = machine;
    const first = await attestationKey(tpm);
    await flushContext(tpm, first.handle);
    const second = await attestationKey(tpm);
    assert.deepEqual(second.name, first.name);
    const read = await readPublic(tpm, second.handle);
    assert.deepEqual(read.area, second.area);
    assert.equal(toHex(read.qualifiedName), toHex(primaryQualifiedName('owner', second.area)));
    await clear(tpm);
    const third = await attestationKey(tpm);
    assert.notDeepEqual(third.name, first.name);
  });

  it('the attestation key is not locked out however often the power is cut', async () => {
    await using machine = await startSwtpm(swtpm);
    const { tpm } = machine;
    const pcrs = [{ bank, pcrs: [0] }];
    for (let times = 0; times < 12; times += 1) {
      const key = await attestationKey(tpm);
      await quote(tpm, { key, pcrs, qualifyingData: new Uint8Array() });
      await machine.cutPower();
    }
  });

  it('a quote holds for its values, key and qualifying data', async () => {
    await using machine = await startSwtpm(swtpm);
    const { tpm } = machine;
    const key = await attestationKey(tpm);
    const qualifyingData = randomBytes(32);
    const pcrs = [{ bank, pcrs: [0, 1, 2, 3, 4, 5, 7, 9, 11, 12, 13, 14] }];
    const got = await quote(tpm, { key, pcrs, qualifyingData });
    assert.ok(verifyTpmSignature(key.area, got.signature, got.message));
    assert.ok(got.attest.type === 'quote');
    assert.equal(toHex(got.attest.extraData), toHex(qualifyingData));
    assert.equal(toHex(got.attest.qualifiedSigner), toHex(primaryQualifiedName('owner', key.area)));
    assert.equal(
      toHex(pcrSelectionDigest(got.attest.pcrSelections, got.values, 'sha256')),
      toHex(got.attest.pcrDigest),
    );
  });

  it('a PCR that changes while it is quoted makes the quote start again, and not for ever', async () => {
    await using machine = await startSwtpm(swtpm);
    const { tpm } = machine;
    const key = await attestationKey(tpm);
    const options = { key, pcrs: [{ bank, pcrs: [16] }], qualifyingData: new Uint8Array() };
    const run = tpm.run.bind(tpm);
    let disturb = 1;
    tpm.run = async (command, call) => {
      const answer = await run(command, call);
      if (command === 'PCR_Read' && disturb > 0) {
        disturb -= 1;
        await extendPcr(tpm, 16, { [bank]: randomBytes(32) });
      }
      return answer;
    };
    const got = await quote(tpm, options);
    assert.equal(disturb, 0);
    assert.ok(got.attest.type === 'quote');
    disturb = 1000;
    await assert.rejects(quote(tpm, options), { code: 'unstable' });
  });

  for (const { id, template } of ekProfiles) {
    it(`endorsement key ${id} opens the credential made for it and a key beside it, and no other`, async () => {
      await using machine = await startSwtpm(swtpm);
      const { tpm } = machine;
      const made = await createPrimary(tpm, { hierarchy: 'endorsement', template }).catch(
        (error: unknown) => {
          if (isRefusal(error, 'VALUE', 'KEY_SIZE')) return undefined;
          throw error;
        },
      );
      // Not every software TPM has every key size.
      if (made === undefined) return;
      const profile = ekProfiles.find((candidate) => candidate.id === id);
      assert.ok(profile);
      const ek = { ...made, profile, certificates: [], persistent: false };
      const object = await attestationKey(tpm);
      const secret = randomBytes(32);
      const request = { name: object.name, secret, random: randomBytes };
      const credential = makeCredential(ek.area, request);
      assert.equal(toHex(await activate(tpm, credential, { ek, object })), toHex(secret));
      const foreign = makeCredential(ek.area, { ...request, name: ek.name });
      await assert.rejects(activate(tpm, foreign, { ek, object }), { code: 'refused' });
      assert.deepEqual(await listHandles(tpm, 'policySession'), []);
    });
  }

  it('the endorsement key comes with its certificates, made again or kept', async () => {
    await using machine = await startSwtpm(swtpm);
    const { tpm } = machine;
    const bare = await endorsementKey(tpm);
    assert.equal(bare.profile.id, 'L-1');
    assert.deepEqual(bare.certificates, []);
    await releaseKey(tpm, bare);
    const leaf = fake(900);
    const chain = [fake(700), fake(300)];
    await nvProvision(tpm, 0x01c0_000a, Buffer.concat([leaf, Buffer.alloc(100, 0xff)]));
    // Certificates of a chain follow each other, wherever an index ends.
    const stored = Buffer.concat(chain);
    await nvProvision(tpm, 0x01c0_0100, stored.subarray(0, 600));
    await nvProvision(tpm, 0x01c0_0101, stored.subarray(600));
    const ek = await endorsementKey(tpm);
    assert.equal(ek.profile.id, 'L-2');
    assert.deepEqual(ek.certificates.map(toHex), [leaf, ...chain].map(toHex));
    await evictControl(tpm, ek, { persistent: 0x8101_0002 });
    await releaseKey(tpm, ek);
    const kept = await endorsementKey(tpm);
    assert.ok(kept.persistent);
    assert.deepEqual(kept.name, ek.name);
    await evictControl(tpm, kept, { persistent: 0x8101_0002 });
    assert.deepEqual(await listHandles(tpm, 'persistent'), []);
    assert.equal((await nvRead(tpm, 0x01c0_000a)).length, 1004);
  });

  it('certify vouches for an object', async () => {
    await using machine = await startSwtpm(swtpm);
    const { tpm } = machine;
    const key = await attestationKey(tpm);
    const object = await storageKey(tpm);
    const got = await certify(tpm, object, { key, qualifyingData: Buffer.from('why') });
    assert.ok(got.attest.type === 'certify');
    assert.equal(toHex(got.attest.name), toHex(object.name));
    assert.ok(verifyTpmSignature(key.area, got.signature, got.message));
  });

  const coverings: readonly (readonly [string, 'salt' | 'bind' | 'none'])[] = [
    ['an HMAC session', 'none'],
    ['a salted session', 'salt'],
    ['a session bound to the object', 'bind'],
  ];
  for (const [what, way] of coverings) {
    it(`sealed data comes back hidden through ${what}`, async () => {
      await using machine = await startSwtpm(swtpm);
      const { tpm } = machine;
      const value = Buffer.from('object password\0');
      const data = randomBytes(32);
      const object = await sealed(tpm, { template: sealedTemplate, data, auth: value });
      const salt = await storageKey(tpm);
      const bind = { handle: object.handle, name: object.name, value };
      const options = {
        kind: 'hmac',
        ...(way === 'salt' ? { salt } : {}),
        ...(way === 'bind' ? { bind } : {}),
      } as const;
      await withSession(tpm, options, async (session) => {
        for (let times = 0; times < 3; times += 1) {
          const { parameters } = await tpm.run('Unseal', {
            entities: [{ ...object, auth: { session, value } }],
            hide: { response: true },
          });
          assert.equal(toHex(parameters.subarray(2)), toHex(data));
        }
        const wrong = { session, value: Buffer.from('another') };
        const attempt = tpm.run('Unseal', { entities: [{ ...object, auth: wrong }] });
        if (way !== 'bind') await assert.rejects(attempt, { code: 'refused' });
        else await attempt;
      });
      assert.deepEqual(await listHandles(tpm, 'hmacSession'), []);
      await assert.rejects(unseal(tpm, object), { code: 'refused' });
    });
  }

  it('a cover hides both ways beside a plain value', async () => {
    await using machine = await startSwtpm(swtpm);
    const { tpm } = machine;
    const salt = await storageKey(tpm);
    await withSession(tpm, { kind: 'hmac', salt, cipherBits: 256 }, async (cover) => {
      const data = randomBytes(64);
      const auth = Buffer.from('value');
      const object = await create(tpm, salt, { template: sealedTemplate, sensitive: { data, auth }, cover });
      const loaded = await load(tpm, salt, object);
      const entity = { ...loaded, auth: { value: auth } };
      assert.equal(toHex(await unseal(tpm, entity, cover)), toHex(data));
    });
  });

  it('an answer that somebody changed on its way is noticed, and a command with the wrong key refused', async () => {
    await using machine = await startSwtpm(swtpm);
    const { tpm } = machine;
    const data = randomBytes(16);
    const object = await sealed(tpm, { template: sealedTemplate, data });
    await withSession(tpm, { kind: 'hmac', salt: await storageKey(tpm) }, async (session) => {
      const broken: Session = { ...session, key: session.key.map((byte) => byte ^ 1) };
      const call = { entities: [{ ...object, auth: { session: broken } }] };
      await assert.rejects(tpm.run('Unseal', call), { code: 'refused' });
    });
    await flushAll(tpm);
    await tpm.close();
    for (const forged of [false, true]) {
      await using between = await machine.open((response) => (forged ? flipParameter(response) : response));
      await withSession(between, { kind: 'hmac', salt: await storageKey(between) }, async (session) => {
        const loaded = await sealed(between, { template: sealedTemplate, data });
        const answer = between.run('Unseal', { entities: [{ ...loaded, auth: { session } }], last: true });
        if (forged) await assert.rejects(answer, { code: 'protocol' });
        else assert.equal(toHex((await answer).parameters.subarray(2)), toHex(data));
      });
      await flushAll(between);
    }
  });

  it('policies open what they were made for: PCR, secret, value', async () => {
    await using machine = await startSwtpm(swtpm);
    const { tpm } = machine;
    const selections = [{ bank, pcrs: [16] }];
    const hash = 'sha256' as const;
    const digest = pcrSelectionDigest(selections, await readPcrs(tpm, selections), hash);
    const owner = { handle: tpmHandle.owner };
    const fromPcr = policyPcrDigest(selections, digest, { hash });
    const fromSecret = policySecretDigest(handleName(tpmHandle.owner), { hash, from: fromPcr });
    const policy = policyAuthValueDigest({ hash, from: fromSecret });
    const value = Buffer.from('known');
    const data = randomBytes(20);
    const object = await sealed(tpm, { template: sealedTo(policy), data, auth: value });
    const open = async (): Promise<Uint8Array> =>
      withSession(tpm, { kind: 'policy' }, async (session) => {
        await policyPcr(tpm, session, { selections });
        await policySecret(tpm, session, { entity: owner });
        await policyAuthValue(tpm, session);
        assert.equal(toHex(await policyGetDigest(tpm, session)), toHex(policy));
        return unseal(tpm, { ...object, auth: { session, value } });
      });
    assert.equal(toHex(await open()), toHex(data));
    await extendPcr(tpm, 16, { [bank]: randomBytes(32) });
    await assert.rejects(open(), /Expected values/);
  });

  it('PolicyAuthorize takes any policy its key signed', async () => {
    await using machine = await startSwtpm(swtpm);
    const { tpm } = machine;
    const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const fields = keyFieldsOf(pair.publicKey);
    assert.ok(fields.type === 'rsa');
    const signer: TpmPublic = {
      nameAlg: 'sha256',
      attributes: objectAttributes('userWithAuth', 'sign'),
      authPolicy: new Uint8Array(),
      symmetric: null,
      scheme: null,
      ...fields,
    };
    const hash = 'sha256' as const;
    const selections = [{ bank, pcrs: [16] }];
    const pcrs = pcrSelectionDigest(selections, await readPcrs(tpm, selections), hash);
    const policy = policyPcrDigest(selections, pcrs, { hash });
    const policyRef = Buffer.from('release');
    const key = await loadExternal(tpm, signer);
    const data = randomBytes(16);
    const template = sealedTo(policyAuthorizeDigest(key.name, { hash, policyRef }));
    const object = await sealed(tpm, { template, data });
    const message = Buffer.concat([policy, policyRef]);
    const signature = {
      scheme: 'rsassa',
      hash,
      signature: sign(
        'sha256',
        message,
        createPrivateKey(pair.privateKey.export({ format: 'pem', type: 'pkcs8' })),
      ),
    } as const;
    const digest = createHash('sha256').update(message).digest();
    const ticket = await verifySignature(tpm, key, { digest, signature });
    await withSession(tpm, { kind: 'policy' }, async (session) => {
      await policyPcr(tpm, session, { selections });
      await policyAuthorize(tpm, session, { policy, policyRef, keyName: key.name, ticket });
      assert.equal(toHex(await unseal(tpm, { ...object, auth: { session } })), toHex(data));
    });
    const forged = { digest: createHash('sha256').update('other').digest(), signature };
    await assert.rejects(verifySignature(tpm, key, forged), { code: 'refused' });
  });

  it('refusals say which command, code and handle', async () => {
    await using machine = await startSwtpm(swtpm);
    const { tpm } = machine;
    await assert.rejects(readPublic(tpm, 0x8100_0001), /ReadPublic: TPM_RC_HANDLE of handle 1 \(0x18b\)/);
    const key = await createPrimary(tpm, { hierarchy: 'null', template: akTemplateP256 });
    const selections = [{ bank, pcrs: [0] }];
    await assert.rejects(quotePcrs(tpm, key, { selections, qualifyingData: new Uint8Array(200) }), (error) =>
      isRefusal(error, 'SIZE'),
    );
  });
});
