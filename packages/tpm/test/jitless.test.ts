/** Inside the host every executable runs without a JIT compiler, hence without WebAssembly: so must this room. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join } from 'node:path';
import { it } from 'node:test';
import { judge, noJudge, scratch } from '@osguard/testkit';
import { startSwtpm } from './support/swtpm.ts';

const swtpm = judge('swtpm');
const skip = swtpm === undefined ? noJudge('swtpm') : false;
const packages = join(import.meta.dirname, '../..');

const program = (tcti: string): string => `
import { activate, attestationKey, endorsementKey, openSocket, quote, Tpm } from '@osguard/tpm';
import { makeCredential, verifyTpmSignature } from '@osguard/formats/tpm2';
import { randomBytes } from 'node:crypto';
const tpm = new Tpm(await openSocket({ path: ${JSON.stringify(tcti)} }));
const ek = await endorsementKey(tpm);
const key = await attestationKey(tpm);
const secret = randomBytes(16);
const credential = makeCredential(ek.area, { name: key.name, secret, random: randomBytes });
const opened = await activate(tpm, credential, { ek, object: key });
const pcrs = [{ bank: 'sha256', pcrs: [0, 11] }];
const got = await quote(tpm, { key, pcrs, qualifyingData: secret });
await tpm.close();
const right = Buffer.compare(secret, opened) === 0 && verifyTpmSignature(key.area, got.signature, got.message);
console.log(right, typeof WebAssembly);
`;

/** The runtime strips types with WebAssembly, so the sources are stripped beforehand. */
function stripRoom(room: string, into: string): void {
  const from = join(packages, room);
  const to = join(into, 'node_modules/@osguard', room);
  for (const file of ['package.json', ...globSync('src/{,**/}*.ts', { cwd: from })]) {
    const text = readFileSync(join(from, file), 'utf8');
    const target = join(to, file.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(target), { recursive: true });
    const plain = file.endsWith('.ts') ? stripTypeScriptTypes(text) : text;
    writeFileSync(target, plain.replaceAll(/\.ts(['"])/g, '.js$1'));
  }
}

it('works without a JIT compiler', { skip, timeout: 120_000 }, async () => {
  assert.ok(swtpm);
  await using machine = await startSwtpm(swtpm);
  await machine.tpm.close();
  using folder = scratch('jitless');
  for (const room of ['events', 'formats', 'tpm']) stripRoom(room, folder.path);
  writeFileSync(folder.file('program.mjs'), program(machine.tcti.replace('swtpm:path=', '')));
  const said = execFileSync(process.execPath, ['--jitless', folder.file('program.mjs')], {
    encoding: 'utf8',
  });
  assert.equal(said.trim(), 'true undefined');
});
