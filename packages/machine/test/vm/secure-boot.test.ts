/** The firmware as judge of our variable store and signatures. */

import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';

import { sourceOf } from '@osguard/formats/bytes';
import type { ByteSource } from '@osguard/formats/bytes';
import { writeFat } from '@osguard/formats/fat';
import { authenticodeDigest, parsePe } from '@osguard/formats/pe';
import { certificateLists, encodeSignatureLists, keyVariables } from '@osguard/formats/efi';
import {
  initKeys,
  loadKeyring,
  makeVariableStore,
  signatureOwner,
  signPe,
  signVariableUpdate,
} from '@osguard/keys';
import type { Keyring, MakeVariableStoreOptions, Signer } from '@osguard/keys';
import { scratch } from '@osguard/testkit';

import { openTools, startMachine } from '../../src/index.ts';
import type { ConsoleLine, Tools } from '../../src/index.ts';
import { firmwareVariables } from '../../src/tools/table.ts';
import { printingProgram, settingProgram } from './efi-program.ts';

const diskSize = 40 * 1024 * 1024;
const denied = /BdsDxe: failed to (load|start) .*: (Access Denied|Security Violation)/;

describe('Secure Boot with our own keys', { timeout: 600_000 }, () => {
  const folder = scratch('secure-boot');
  let tools: Tools;
  let keyring: Keyring;
  let foreign: Keyring;

  before(async () => {
    tools = await openTools({ sets: ['run'] });
    await initKeys(folder.file('keys'), { roles: ['platform', 'exchange', 'boot'] });
    await initKeys(folder.file('foreign'), {
      roles: ['platform', 'exchange', 'boot'],
      rsaBits: { boot: 3072 },
    });
    keyring = await loadKeyring(folder.file('keys'));
    foreign = await loadKeyring(folder.file('foreign'));
  });
  after(() => folder[Symbol.dispose]());

  /** Boots disks with these programs in turn; returns the lines up to the first program that ran. */
  async function boot(
    programs: readonly ByteSource[],
    variables: string | undefined,
  ): Promise<readonly string[]> {
    const disks = programs.map((program, i) => {
      const path = folder.file(`disk-${i}.raw`);
      writeDisk(path, program);
      return { path, format: 'raw', writes: 'snapshot', bootIndex: i } as const;
    });
    const options = { tools, disks, tpm: false, cpus: 1, memoryMiB: 512, network: 'none' } as const;
    await using machine = await startMachine(
      variables === undefined ? options : { ...options, variables },
      () => undefined,
    );
    const last = await machine.console.waitFor(/osguard-test: |No bootable option or device was found/);
    const lines: string[] = [];
    for await (const line of machine.console as AsyncIterable<ConsoleLine>) {
      lines.push(line.text);
      if (line.number >= last.number) break;
    }
    return lines;
  }

  function enroll(name: string, keys: Keyring, options: MakeVariableStoreOptions = {}): string {
    const path = folder.file(name);
    const blank = readFileSync(tools.file(firmwareVariables));
    writeFileSync(path, makeVariableStore(blank, keys, options));
    return path;
  }

  it('runs anything while no keys are enrolled (control)', async () => {
    const lines = await boot([testProgram('unsigned')], undefined);
    assert.match(lines.at(-1) ?? '', /osguard-test: unsigned/, lines.join('\n'));
  });

  it('refuses unsigned, foreign and changed programs and runs the signed one', async () => {
    const mine = await keyring.signer('boot');
    const theirs = await foreign.signer('boot');
    const changed = await signPe(mine, testProgram('changed'));
    const broken = Uint8Array.from(changed.read(0, changed.size));
    broken[600] = (broken[600] ?? 0) ^ 1;
    const lines = await boot(
      [
        testProgram('unsigned'),
        await signPe(theirs, testProgram('foreign')),
        sourceOf(broken),
        await signPe(mine, await signPe(theirs, testProgram('signed twice'))),
      ],
      enroll('enrolled.fd', keyring),
    );
    // A program that runs stays there, so the last one's line says that the others did not.
    assert.ok(
      lines.some((line) => denied.test(line)),
      lines.join('\n'),
    );
    assert.match(lines.at(-1) ?? '', /osguard-test: signed twice/, lines.join('\n'));
  });

  it('takes a db certificate of RSA-3072, and dbx wins over it', async () => {
    const signer = await foreign.signer('boot');
    const revoked = await signPe(signer, testProgram('revoked'));
    const good = await signPe(signer, testProgram('good'));
    const digest = authenticodeDigest(parsePe(revoked));
    const lines = await boot([revoked, good], enroll('dbx.fd', foreign, { dbx: [digest] }));
    assert.match(lines.at(-1) ?? '', /osguard-test: good/, lines.join('\n'));
  });

  it('takes a signed change of db from the exchange key only, and never an older one', async () => {
    const mine = await keyring.signer('boot');
    const exchange = await keyring.signer('exchange');
    const added = await foreign.signer('boot');
    const content = encodeSignatureLists(certificateLists(signatureOwner, [added.certificate.der]));
    const change = async (
      signer: Signer,
      timestamp: number,
      expected: 'accepted' | 'refused',
    ): Promise<ByteSource> => {
      const data = await signVariableUpdate(signer, { variable: 'db', content, timestamp });
      const variable = { name: 'db', vendor: keyVariables.db, attributes: 0x27, data };
      const otherwise = `osguard-test: change by ${signer.certificate.subjectText} at ${timestamp} not ${expected}`;
      return await signPe(mine, sourceOf(settingProgram(variable, { expected, otherwise })));
    };
    const later = Date.UTC(2026, 10, 22);
    const lines = await boot(
      [
        await change(await foreign.signer('exchange'), later, 'refused'),
        await change(exchange, Date.UTC(1999, 0, 1), 'refused'),
        await change(exchange, later, 'accepted'),
        await change(exchange, later, 'refused'),
        await signPe(mine, testProgram('no longer in db')),
        await signPe(added, testProgram('now in db')),
      ],
      enroll('update.fd', keyring),
    );
    assert.match(lines.at(-1) ?? '', /osguard-test: now in db/, lines.join('\n'));
  });
});

function testProgram(name: string): ByteSource {
  return sourceOf(printingProgram(`osguard-test: ${name}`));
}

function writeDisk(path: string, program: ByteSource): void {
  const { segments } = writeFat({
    size: diskSize,
    files: [{ path: 'EFI/BOOT/BOOTX64.EFI', body: program }],
    volumeId: 0x0516_5de1,
    mtime: 1_700_000_000,
  });
  const file = openSync(path, 'w');
  ftruncateSync(file, diskSize);
  for (const { offset, body } of segments) writeSync(file, body.read(0, body.size), 0, body.size, offset);
  closeSync(file);
}
