/**
 * The state folder: `secrets.key` (seals secrets), `token.key` (signs verdict tokens, PKCS #8 PEM), `nodes.pem` (signs
 * certificates of nodes) and, for SQLite, `verifier.db`. Files are made once, whole, readable by their owner only.
 * Replicas on PostgreSQL share the three keys.
 */

import { createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { link, mkdir, open, readFile, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { ServiceError } from './error.ts';
import { makeNodeAuthority, openNodeAuthority } from './node-authority.ts';
import type { NodeAuthority } from './node-authority.ts';
import { sealingKeySize } from './sealing.ts';

export interface State {
  readonly folder: string;
  readonly database: string;
  readonly sealingKey: Uint8Array;
  readonly tokenKey: KeyObject;
  readonly nodeAuthority: NodeAuthority;
}

/** Opens the folder, making what is not there. @throws ServiceError `state` */
export async function openState(folder: string): Promise<State> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const sealingKey = await privateFile(join(folder, 'secrets.key'), () => randomBytes(sealingKeySize));
  if (sealingKey.length !== sealingKeySize) {
    throw new ServiceError(
      'state',
      `${join(folder, 'secrets.key')}: ${sealingKey.length} bytes, not ${sealingKeySize}`,
    );
  }
  const file = join(folder, 'token.key');
  const pem = await privateFile(file, () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    return Buffer.from(privateKey.export({ format: 'pem', type: 'pkcs8' }));
  });
  const authorityFile = join(folder, 'nodes.pem');
  const authority = await privateFile(authorityFile, () => Buffer.from(makeNodeAuthority(Date.now())));
  return {
    folder,
    database: join(folder, 'verifier.db'),
    sealingKey,
    tokenKey: readTokenKey(pem, file),
    nodeAuthority: readAuthority(authority, authorityFile),
  };
}

function readAuthority(pem: Buffer, file: string): NodeAuthority {
  try {
    return openNodeAuthority(pem.toString('latin1'));
  } catch {
    // Without the cause, as below.
    throw new ServiceError('state', `${file}: not the certificate and the key of an authority in PEM`);
  }
}

function readTokenKey(pem: Buffer, file: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    // Without the cause: what OpenSSL says may quote the input.
    throw new ServiceError('state', `${file}: no private key in PEM`);
  }
  if (key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return key;
  throw new ServiceError('state', `${file}: tokens are signed with ES256, which needs a P-256 key`);
}

async function privateFile(path: string, make: () => Buffer): Promise<Buffer> {
  try {
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0) {
      throw new ServiceError(
        'state',
        `${path}: other users may read it (mode ${(mode & 0o777).toString(8)})`,
        {
          hint: `chmod 600 ${path}`,
        },
      );
    }
    return await readFile(path);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
  await writePrivate(path, make());
  return readFile(path);
}

/** Whole or not at all; a file that somebody made meanwhile stays. */
export async function writePrivate(path: string, content: Uint8Array): Promise<void> {
  const partial = `${path}.${randomBytes(6).toString('hex')}.partial`;
  const file = await open(partial, 'wx', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    await link(partial, path);
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
  } finally {
    await unlink(partial);
  }
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
