/** tpm2-tools on the same software TPM, as judge of what is written here and the other way round. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { toHex } from '@osguard/formats/bytes';
import {
  encodeSizedPublicArea,
  makeCredential,
  parseAttest,
  parseSizedPublicArea,
  parseTpmSignature,
  publicAreaName,
  publicAreaSpki,
  verifyTpmSignature,
} from '@osguard/formats/tpm2';
import { encodePem } from '@osguard/formats/x509';
import { judge, noJudge } from '@osguard/testkit';
import {
  activate,
  attestationKey,
  endorsementKey,
  evictControl,
  extendPcr,
  flushContext,
  listHandles,
  quote,
  readPcrs,
} from '@osguard/tpm';
import type { SoftwareTpm } from './support/swtpm.ts';
import { startSwtpm } from './support/swtpm.ts';

const swtpm = judge('swtpm');
const tools = judge('tpm2_checkquote');
const skip =
  swtpm === undefined ? noJudge('swtpm') : tools === undefined ? noJudge('tpm2_checkquote') : false;

/** One of the tools, against the machine's TPM; `line` is its name and arguments. */
function run(machine: SoftwareTpm, line: string): string {
  const [name = '', ...args] = line.split(' ');
  const tool = judge(name);
  assert.ok(tool, noJudge(name));
  const done = tool.run(args, { env: { TPM2TOOLS_TCTI: machine.tcti } });
  assert.equal(done.status, 0, `${line}: ${done.stderr}`);
  return done.stdout;
}

/** Transient objects of tools that are gone keep their places without a resource manager. */
function flush(machine: SoftwareTpm): void {
  run(machine, 'tpm2_flushcontext -t');
}

/** What tpm2_makecredential writes: a magic, a version, and the two structures. */
const credentialFile = Buffer.from('badcc0de00000001', 'hex');

describe('tpm2-tools', { skip, timeout: 300_000 }, () => {
  if (swtpm === undefined) return;

  it('accept a quote made here, and no other', async () => {
    await using machine = await startSwtpm(swtpm);
    const { tpm, file } = machine;
    await extendPcr(tpm, 16, { sha256: randomBytes(32) });
    const key = await attestationKey(tpm);
    const qualifyingData = randomBytes(32);
    const pcrs = [{ bank: 'sha256', pcrs: [0, 7, 16] }] as const;
    const got = await quote(tpm, { key, pcrs, qualifyingData });
    writeFileSync(file('key.pem'), encodePem('PUBLIC KEY', publicAreaSpki(key.area)));
    writeFileSync(file('message'), got.message);
    writeFileSync(file('signature'), got.signatureBytes);
    writeFileSync(file('values'), Buffer.concat([...(got.values.sha256?.values() ?? [])]));
    const check = (nonce: Uint8Array): string =>
      run(
        machine,
        `tpm2_checkquote -u ${file('key.pem')} -m ${file('message')} -s ${file('signature')} ` +
          `-f ${file('values')} -F values -l sha256:0,7,16 -q ${toHex(nonce)}`,
      );
    check(qualifyingData);
    assert.throws(() => check(randomBytes(32)), /nonce/);
    const printed = run(machine, `tpm2_print -t TPMS_ATTEST ${file('message')}`);
    assert.ok(printed.includes(toHex(qualifyingData)));
    assert.ok(got.attest.type === 'quote' && printed.includes(toHex(got.attest.pcrDigest)));
    await extendPcr(tpm, 16, { sha256: randomBytes(32) });
    const moved = await readPcrs(tpm, pcrs);
    writeFileSync(file('values'), Buffer.concat([...(moved.sha256?.values() ?? [])]));
    assert.throws(() => check(qualifyingData), /PCR/);
  });

  for (const algorithm of ['rsa', 'ecc'] as const) {
    it(`make a quote with ${algorithm} that verifies here, over a key whose Name is the same`, async () => {
      await using machine = await startSwtpm(swtpm);
      const { tpm, file } = machine;
      await tpm.close();
      makeKeys(machine, algorithm);
      run(
        machine,
        `tpm2_quote -c ${file('ak.ctx')} -l sha256:0,4 -q 00ff -m ${file('message')} -s ${file('signature')}`,
      );
      const area = parseSizedPublicArea(readFileSync(file('ak.pub')));
      assert.equal(toHex(publicAreaName(area)), readFileSync(file('ak.name')).toString('hex'));
      const message = readFileSync(file('message'));
      assert.ok(verifyTpmSignature(area, parseTpmSignature(readFileSync(file('signature'))), message));
      assert.equal(toHex(parseAttest(message).extraData), '00ff');
    });

    it(`activate with ${algorithm} a credential made here`, async () => {
      await using machine = await startSwtpm(swtpm);
      const { tpm, file } = machine;
      await tpm.close();
      makeKeys(machine, algorithm);
      const ek = parseSizedPublicArea(readFileSync(file('ek.pub')));
      const name = readFileSync(file('ak.name'));
      const secret = randomBytes(32);
      const made = makeCredential(ek, { name, secret, random: randomBytes });
      writeFileSync(file('credential'), Buffer.concat([credentialFile, made.credential, made.secret]));
      flush(machine);
      run(machine, `tpm2_startauthsession --policy-session -S ${file('session')}`);
      run(machine, `tpm2_policysecret -S ${file('session')} -c e`);
      run(
        machine,
        `tpm2_activatecredential -c ${file('ak.ctx')} -C ${file('ek.ctx')} -P session:${file('session')} ` +
          `-i ${file('credential')} -o ${file('secret')}`,
      );
      assert.equal(readFileSync(file('secret')).toString('hex'), toHex(secret));
    });
  }

  it('make a credential that is activated here', async () => {
    await using machine = await startSwtpm(swtpm);
    const { tpm, file } = machine;
    const ek = await endorsementKey(tpm);
    const object = await attestationKey(tpm);
    const secret = randomBytes(32);
    writeFileSync(file('ek.pub'), encodeSizedPublicArea(ek.area));
    writeFileSync(file('secret'), secret);
    run(
      machine,
      `tpm2_makecredential -T none -u ${file('ek.pub')} -s ${file('secret')} -n ${toHex(object.name)} ` +
        `-o ${file('credential')}`,
    );
    const written = readFileSync(file('credential'));
    assert.equal(toHex(written.subarray(0, 8)), toHex(credentialFile));
    const size = 2 + written.readUInt16BE(8);
    const credential = { credential: written.subarray(8, 8 + size), secret: written.subarray(8 + size) };
    assert.equal(toHex(await activate(tpm, credential, { ek, object })), toHex(secret));
  });

  it('see the PCRs, handles and Names that are seen here', async () => {
    await using machine = await startSwtpm(swtpm);
    const { tpm, file } = machine;
    await extendPcr(tpm, 12, { sha256: randomBytes(32) });
    const values = await readPcrs(tpm, [{ bank: 'sha256', pcrs: [0, 12] }]);
    const key = await attestationKey(tpm);
    await evictControl(tpm, key, { persistent: 0x8100_0010 });
    await flushContext(tpm, key.handle);
    await tpm.close();
    run(machine, `tpm2_pcrread sha256:0,12 -o ${file('pcrs')}`);
    assert.equal(
      readFileSync(file('pcrs')).toString('hex'),
      [...(values.sha256?.values() ?? [])].map(toHex).join(''),
    );
    run(machine, `tpm2_readpublic -c 0x81000010 -n ${file('name')} -o ${file('pub')}`);
    assert.equal(readFileSync(file('name')).toString('hex'), toHex(key.name));
    assert.equal(readFileSync(file('pub')).toString('hex'), toHex(encodeSizedPublicArea(key.area)));
    assert.match(run(machine, 'tpm2_getcap handles-persistent'), /0x81000010/);
    await using again = await machine.open();
    assert.deepEqual(await listHandles(again, 'persistent'), [0x8100_0010]);
  });
});

function makeKeys(machine: SoftwareTpm, algorithm: 'rsa' | 'ecc'): void {
  const { file } = machine;
  const scheme = algorithm === 'rsa' ? 'rsassa' : 'ecdsa';
  run(machine, `tpm2_createek -c ${file('ek.ctx')} -G ${algorithm} -u ${file('ek.pub')}`);
  flush(machine);
  run(
    machine,
    `tpm2_createak -C ${file('ek.ctx')} -c ${file('ak.ctx')} -G ${algorithm} -g sha256 -s ${scheme} ` +
      `-u ${file('ak.pub')} -n ${file('ak.name')}`,
  );
  flush(machine);
}
