/**
 * Making the keys of all roles: `<role>.key` (PKCS #8 PEM, 0600), `<role>.crt` (PEM) and `<role>.der` in a
 * folder only its owner may enter.
 *
 * Everything is written into a folder beside the wanted one and renamed: until the rename there is no key
 * folder, after it there is a whole one. A leftover `<folder>.partial-…` of a killed run holds keys nobody uses.
 */

import { generateKeyPair, randomBytes, sign } from 'node:crypto';
import { link, mkdir, mkdtemp, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { encodePem, planCertificate } from '@osguard/formats/x509';
import { roleCertificateRequest } from './certificate.ts';
import { KeysError } from './error.ts';
import { loadKeyring } from './keyring.ts';
import { keyRoles, roleFacts } from './roles.ts';
import type { KeyRole } from './roles.ts';

const generate = promisify(generateKeyPair);
const dayMilliseconds = 86_400_000;

export interface InitKeysOptions {
  /** Before the role in each certificate's common name, at most 50 characters. `osguard` unless told otherwise. */
  readonly name?: string;
  /** All roles unless told otherwise. */
  readonly roles?: readonly KeyRole[];
  /** RSA modulus by role, bits; see roleFacts for the defaults and why. */
  readonly rsaBits?: Readonly<Partial<Record<KeyRole, 2048 | 3072 | 4096>>>;
  /** Days; 3650 unless told otherwise. Firmware and kernel do not look at it, verifiers with a clock do. */
  readonly validDays?: number;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** For serial numbers. */
  readonly random?: (length: number) => Uint8Array;
  /** Aborting leaves nothing behind. */
  readonly signal?: AbortSignal;
}

interface Prepared {
  readonly target: string;
  readonly roles: readonly KeyRole[];
  readonly options: InitKeysOptions;
}

/** Writes the roles into a folder of its own beside `target`, and gives it to `place`. */
async function makeAside(
  { target, roles, options }: Prepared,
  place: (partial: string) => Promise<void>,
): Promise<void> {
  const { name = 'osguard', validDays = 3650, now = Date.now, random = randomBytes } = options;
  if (name === '' || name.length > 50) {
    throw new KeysError('invalid', `name for the certificates: 1 to 50 characters, not ${name.length}`);
  }
  // mkdtemp makes it 0700.
  const partial = await mkdtemp(join(dirname(target), `${basename(target)}.partial-`));
  try {
    const notBefore = Math.floor(now() / 1000) * 1000;
    const notAfter = notBefore + validDays * dayMilliseconds;
    for (const role of roles) {
      options.signal?.throwIfAborted();
      const rsaBits = options.rsaBits?.[role] ?? roleFacts[role].rsaBits;
      await writeRole(partial, role, { name, rsaBits, notBefore, notAfter, serial: newSerial(random) });
    }
    await syncFolder(partial);
    await place(partial);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}

/**
 * Makes the folder with one key and certificate a role.
 * @throws KeysError `exists` when the folder is there and holds anything.
 */
export async function initKeys(directory: string, options: InitKeysOptions = {}): Promise<void> {
  const target = resolve(directory);
  await assertAbsentOrEmpty(target);
  await mkdir(dirname(target), { recursive: true });
  await makeAside({ target, roles: options.roles ?? keyRoles, options }, async (partial) => {
    await renameOver(partial, target);
    await syncFolder(dirname(target));
  });
}

/**
 * Makes keys for the roles that have no certificate in a folder that is there, for example one made before the role
 * existed. What is there stays as it is.
 * @returns the roles that were added
 * @throws KeysError `missing` when there is no such folder, `exists` when a file of a role is in the way.
 */
export async function addMissingKeys(
  directory: string,
  options: InitKeysOptions = {},
): Promise<readonly KeyRole[]> {
  const target = resolve(directory);
  const present = new Set((await loadKeyring(target)).entries.map(({ role }) => role));
  const roles = (options.roles ?? keyRoles).filter((role) => !present.has(role));
  if (roles.length === 0) return [];
  await makeAside({ target, roles, options }, async (partial) => {
    for (const role of roles) {
      // The certificate last: a role is there when its certificate is.
      for (const ending of ['key', 'der', 'crt']) await linkNew(partial, target, `${role}.${ending}`);
    }
    await syncFolder(target);
    await rm(partial, { recursive: true, force: true });
  });
  return roles;
}

/** Unlike rename, link never replaces a file. */
async function linkNew(from: string, to: string, leaf: string): Promise<void> {
  try {
    await link(join(from, leaf), join(to, leaf));
  } catch (cause) {
    if (!isErrno(cause, ['EEXIST'])) throw cause;
    throw new KeysError(
      'exists',
      `${join(to, leaf)} is there without a certificate ${leaf.split('.')[0]}.crt`,
      {
        hint: 'keys are never overwritten: move it away first',
        cause,
      },
    );
  }
}

interface RoleToWrite {
  readonly name: string;
  readonly rsaBits: number;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly serial: Uint8Array;
}

async function writeRole(folder: string, role: KeyRole, request: RoleToWrite): Promise<void> {
  const { privateKey, publicKey } = await generate('rsa', { modulusLength: request.rsaBits });
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  const plan = planCertificate(roleCertificateRequest(role, { ...request, publicKey: spki }));
  const certificate = plan.finish(sign('sha256', plan.toSign, privateKey));
  const pem = privateKey.export({ format: 'pem', type: 'pkcs8' });
  await writeNew(join(folder, `${role}.key`), pem, 0o600);
  await writeNew(join(folder, `${role}.crt`), encodePem('CERTIFICATE', certificate), 0o644);
  await writeNew(join(folder, `${role}.der`), certificate, 0o644);
}

/** 16 bytes, the first between 0x40 and 0x7f: positive, and the same length every time. */
function newSerial(random: (length: number) => Uint8Array): Uint8Array {
  const serial = Uint8Array.from(random(16));
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return serial;
}

async function assertAbsentOrEmpty(target: string): Promise<void> {
  let entries: string[];
  try {
    entries = await readdir(target);
  } catch (error) {
    if (isErrno(error, ['ENOENT'])) return;
    throw new KeysError('exists', `${target} exists and is not a folder`, { cause: error });
  }
  if (entries.length > 0) throw existing(target);
}

/** rename replaces an empty folder and nothing else, so a folder filled meanwhile is safe. */
async function renameOver(partial: string, target: string): Promise<void> {
  try {
    await rename(partial, target);
  } catch (error) {
    if (isErrno(error, ['ENOTEMPTY', 'EEXIST', 'ENOTDIR'])) throw existing(target);
    throw error;
  }
}

function existing(target: string): KeysError {
  return new KeysError('exists', `${target} is not empty; keys are never overwritten`, {
    hint: 'name another folder, or move this one away first',
  });
}

async function writeNew(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  const file = await open(path, 'wx', mode);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function isErrno(error: unknown, codes: readonly string[]): boolean {
  return (
    error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code)
  );
}
