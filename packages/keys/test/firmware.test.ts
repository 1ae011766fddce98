import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sourceOf } from '@osguard/formats/bytes';
import { allSignersGood } from '@osguard/formats/cms';
import {
  keyVariables,
  parseAuthenticatedVariable,
  parseSignatureLists,
  parseVariableStore,
  verifyAuthenticatedVariable,
} from '@osguard/formats/efi';
import { verifyPe } from '@osguard/formats/pe';
import {
  initKeys,
  keyRoles,
  KeysError,
  loadKeyring,
  makeVariableStore,
  signPe,
  signVariableUpdate,
} from '@osguard/keys';
import type { Keyring } from '@osguard/keys';
import { blankVariableStore, makePe, scratch } from '@osguard/testkit';

const dir = scratch('keys-firmware');
let keyring: Keyring;

before(async () => {
  await initKeys(dir.file('keys'), { name: 'test' });
  keyring = await loadKeyring(dir.file('keys'));
});
after(() => dir[Symbol.dispose]());

const wrongRole = (error: unknown): boolean => error instanceof KeysError && error.code === 'wrong-role';

test('only boot signs boot images', async () => {
  const image = sourceOf(makePe({ trailing: 3 }));
  for (const role of keyRoles) {
    const signer = await keyring.signer(role);
    if (role !== 'boot') {
      await assert.rejects(signPe(signer, image), wrongRole);
      continue;
    }
    const signed = await signPe(signer, image);
    assert.ok(verifyPe(signed, { trusted: [signer.certificate] }).ok);
    assert.ok(!verifyPe(signed, { trusted: [keyring.certificate('usr')] }).ok);
  }
});

test('db holds the boot certificate alone unless told otherwise', () => {
  const blank = blankVariableStore(64 * 1024);
  const subjects = (fd: Uint8Array, name: string): readonly (string | undefined)[] => {
    const variable = parseVariableStore(fd).variables.find((each) => each.name === name);
    return parseSignatureLists(variable?.data ?? new Uint8Array()).flatMap((list) =>
      list.signatures.map(
        ({ data }) =>
          keyring.entries.find((entry) => Buffer.compare(entry.certificate.der, data) === 0)?.role,
      ),
    );
  };
  const fd = makeVariableStore(blank, keyring);
  assert.deepEqual(subjects(fd, 'PK'), ['platform']);
  assert.deepEqual(subjects(fd, 'KEK'), ['exchange']);
  assert.deepEqual(subjects(fd, 'db'), ['boot']);
  assert.deepEqual(subjects(fd, 'dbx'), []);
  const old = makeVariableStore(blank, keyring, { db: ['boot', 'usr', 'layers'] });
  assert.deepEqual(subjects(old, 'db'), ['boot', 'usr', 'layers']);
  assert.deepEqual(makeVariableStore(blank, keyring), fd);
});

test('PK and KEK are changed by platform, db and dbx by exchange', async () => {
  for (const variable of ['PK', 'KEK', 'db', 'dbx'] as const) {
    const right = variable === 'PK' || variable === 'KEK' ? 'platform' : 'exchange';
    const request = { variable, content: Uint8Array.of(1, 2, 3), timestamp: 1_000_000, append: true };
    for (const role of keyRoles) {
      const signer = await keyring.signer(role);
      if (role !== right) {
        await assert.rejects(signVariableUpdate(signer, request), wrongRole);
        continue;
      }
      const update = parseAuthenticatedVariable(await signVariableUpdate(signer, request));
      const target = { name: variable, vendor: keyVariables[variable], attributes: 0x67 };
      const trusted = [signer.certificate];
      assert.ok(allSignersGood(verifyAuthenticatedVariable(update, target, { trusted })));
    }
  }
});
