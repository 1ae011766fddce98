import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { encodePem, isAuthority } from '@osguard/formats/x509';
import { addMissingKeys, initKeys, issueServerCertificate, KeysError, loadKeyring } from '@osguard/keys';
import type { Keyring, KeysErrorCode } from '@osguard/keys';
import { judge, noJudge, scratch } from '@osguard/testkit';

const dir = scratch('verifier-keys');
const folder = dir.file('keys');
let keyring: Keyring;

before(async () => {
  await initKeys(folder, { roles: ['verifier', 'boot'] });
  keyring = await loadKeyring(folder);
});
after(() => dir[Symbol.dispose]());

const code = (wanted: KeysErrorCode) => (error: unknown) =>
  error instanceof KeysError && error.code === wanted;

async function issue(names: readonly string[]): Promise<{ certificate: string; key: string }> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const der = await issueServerCertificate(await keyring.signer('verifier'), {
    names,
    publicKey: publicKey.export({ format: 'der', type: 'spki' }),
    serial: randomBytes(16),
    notBefore: Date.now() - 60_000,
    notAfter: Date.now() + 86_400_000,
  });
  return {
    certificate: encodePem('CERTIFICATE', der),
    key: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
  };
}

test('only the verifier is an authority', () => {
  assert.ok(isAuthority(keyring.certificate('verifier')));
  assert.ok(!isAuthority(keyring.certificate('boot')));
});

test('the TLS of Node takes a server by its names and addresses, and not by others', async () => {
  const server = createServer();
  const { certificate, key } = await issue(['attest.example', '127.0.0.1', 'fe80::7:1']);
  server.setSecureContext({ cert: certificate, key });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const ca = readFileSync(`${folder}/verifier.crt`);
  const meet = async (servername: string | undefined, trusted: Buffer = ca): Promise<string> =>
    new Promise((resolve) => {
      const options = {
        port,
        host: '127.0.0.1',
        ca: trusted,
        ...(servername !== undefined && { servername }),
      };
      const socket = connect(options, () => {
        socket.end();
        resolve('met');
      });
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    });
  assert.equal(await meet('attest.example'), 'met');
  assert.equal(await meet(undefined), 'met');
  assert.equal(await meet('other.example'), 'ERR_TLS_CERT_ALTNAME_INVALID');
  assert.notEqual(await meet('attest.example', readFileSync(`${folder}/boot.crt`)), 'met');
  await new Promise((resolve) => server.close(resolve));
});

test(
  'openssl follows the path and reads the names',
  { skip: judge('openssl') ? false : noJudge('openssl') },
  async () => {
    const { certificate } = await issue(['attest.example', '10.0.2.2', '2001:db8::10.0.0.1']);
    writeFileSync(dir.file('server.crt'), certificate);
    const openssl = judge('openssl');
    const args = ['-purpose', 'sslserver', '-x509_strict', '-CAfile', `${folder}/verifier.crt`];
    const verified = openssl?.run(['verify', ...args, dir.file('server.crt')]);
    assert.equal(verified?.status, 0, verified?.stderr);
    const text = openssl?.run(['x509', '-in', dir.file('server.crt'), '-noout', '-text']).stdout ?? '';
    assert.match(text, /DNS:attest\.example, IP Address:10\.0\.2\.2, IP Address:2001:DB8:0:0:0:0:A00:1/);
    assert.match(text, /TLS Web Server Authentication/);
  },
);

test('other roles, and names that are none, are refused', async () => {
  await assert.rejects(issue([]), code('invalid'));
  await assert.rejects(issue(['a b']), code('invalid'));
  await assert.rejects(issue(['']), code('invalid'));
  const options = {
    names: ['a'],
    publicKey: randomBytes(9),
    serial: randomBytes(16),
    notBefore: 0,
    notAfter: 1,
  };
  await assert.rejects(issueServerCertificate(await keyring.signer('boot'), options), code('wrong-role'));
});

test('a folder from before the role works, says what is missing, and can be completed', async () => {
  const old = dir.file('old');
  await initKeys(old, { roles: ['boot'] });
  const boot = readFileSync(`${old}/boot.key`);
  const ring = await loadKeyring(old);
  assert.throws(
    () => ring.certificate('verifier'),
    (error) => error instanceof KeysError && /keys init --dir .*old --add-missing/.test(error.hint ?? ''),
  );
  assert.deepEqual(await addMissingKeys(old, { roles: ['boot', 'verifier'] }), ['verifier']);
  assert.deepEqual(await addMissingKeys(old, { roles: ['boot', 'verifier'] }), []);
  assert.deepEqual(readFileSync(`${old}/boot.key`), boot);
  assert.ok(isAuthority((await loadKeyring(old)).certificate('verifier')));
  assert.deepEqual(
    readdirSync(dir.path).filter((name) => name.includes('partial')),
    [],
  );
});

test('a key whose certificate got lost is never overwritten', async () => {
  const half = dir.file('half');
  mkdirSync(half);
  copyFileSync(`${folder}/boot.crt`, `${half}/boot.crt`);
  writeFileSync(`${half}/verifier.key`, 'precious');
  await assert.rejects(addMissingKeys(half, { roles: ['boot', 'verifier'] }), code('exists'));
  assert.equal(readFileSync(`${half}/verifier.key`, 'utf8'), 'precious');
});
