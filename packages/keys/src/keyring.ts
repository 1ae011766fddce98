/**
 * A folder of keys, or of certificates only: `<role>.crt` (or .pem, .cer, .der) with `<role>.key` beside it.
 * More signers of one role are `<role>-<name>.crt`. The file name gives the role; a certificate that names
 * another role in its common name is refused, one made elsewhere is taken by its file name.
 */

import { readdir, readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { equalBytes, FormatError } from '@osguard/formats/bytes';
import { decodePem, parseCertificate } from '@osguard/formats/x509';
import type { Certificate } from '@osguard/formats/x509';
import { KeysError } from './error.ts';
import { fileSigner } from './file-signer.ts';
import { isKeyRole, keyRoles, namedRole } from './roles.ts';
import type { KeyRole } from './roles.ts';
import type { Signer } from './signer.ts';

/** Bytes: certificates and keys are a few KiB. */
const largestFile = 64 * 1024;
const certificateFile = /^(?<base>(?<role>[a-z]+)(?:-[A-Za-z0-9._-]+)?)\.(?:crt|pem|cer|der)$/;

export interface KeyringEntry {
  readonly role: KeyRole;
  /** File name without its ending: the role, or `<role>-<name>`. */
  readonly name: string;
  readonly certificate: Certificate;
  readonly hasPrivateKey: boolean;
}

export interface Keyring {
  readonly directory: string;
  /** In the order of the roles, then by name. */
  readonly entries: readonly KeyringEntry[];
  /** The role's own certificate. @throws KeysError `missing` */
  certificate(role: KeyRole): Certificate;
  /** All certificates of a role; none is an empty list. */
  certificates(role: KeyRole): readonly Certificate[];
  /** Reads the private key now. @throws KeysError `missing`, `exposed`, `invalid` */
  signer(role: KeyRole, name?: string): Promise<Signer>;
}

/** @throws KeysError when the folder cannot be read, holds no certificate of a role, or one is broken. */
export async function loadKeyring(directory: string): Promise<Keyring> {
  const folder = resolve(directory);
  const files = await list(folder);
  const entries = new Map<string, KeyringEntry>();
  for (const file of files) {
    const { base, role } = certificateFile.exec(file)?.groups ?? {};
    if (base === undefined || role === undefined || !isKeyRole(role)) continue;
    const certificate = await readCertificate(join(folder, file));
    const known = entries.get(base);
    if (known !== undefined && !equalBytes(known.certificate.der, certificate.der)) {
      throw new KeysError('invalid', `${folder}: two different certificates for ${base}`);
    }
    const named = namedRole(certificate);
    if (named !== undefined && named !== role) {
      throw new KeysError('wrong-role', `${join(folder, file)}: the certificate names the role ${named}`);
    }
    entries.set(base, { role, name: base, certificate, hasPrivateKey: files.includes(`${base}.key`) });
  }
  if (entries.size === 0) {
    throw new KeysError('missing', `${folder}: no certificate of any role (${keyRoles.join(', ')})`, {
      hint: `osguard keys init --dir ${directory}`,
    });
  }
  return keyring(folder, [...entries.values()].sort(byRole));
}

function keyring(directory: string, entries: readonly KeyringEntry[]): Keyring {
  function find(role: KeyRole, name: string = role): KeyringEntry {
    const entry = entries.find((each) => each.role === role && each.name === name);
    if (entry !== undefined) return entry;
    throw new KeysError('missing', `${directory}: no certificate ${name}.crt`, {
      hint: `put the certificate of the role ${role} there, or: osguard keys init --dir ${directory} --add-missing`,
    });
  }
  return {
    directory,
    entries,
    certificate: (role) => find(role).certificate,
    certificates: (role) => entries.filter((each) => each.role === role).map((each) => each.certificate),
    async signer(role, name) {
      const entry = find(role, name);
      const file = join(directory, `${entry.name}.key`);
      const pem = await readPrivateKey(file);
      return fileSigner(pem, { role, certificate: entry.certificate, file });
    },
  };
}

function byRole(a: KeyringEntry, b: KeyringEntry): number {
  return keyRoles.indexOf(a.role) - keyRoles.indexOf(b.role) || (a.name < b.name ? -1 : 1);
}

async function list(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    if (code === 'EACCES') {
      throw new KeysError('missing', `${folder}: you may not read this folder`, {
        hint: `ls -ld ${folder} shows who may`,
        cause,
      });
    }
    const says =
      code === 'ENOTDIR' ? 'is no folder, one with keys or certificates was expected' : 'is not there';
    throw new KeysError('missing', `${folder} ${says}`, { hint: 'osguard keys init makes one', cause });
  }
}

/** A certificate file, PEM or DER. @throws KeysError */
export async function readCertificate(path: string): Promise<Certificate> {
  const bytes = await readSmall(path);
  try {
    if (bytes[0] === 0x30) return parseCertificate(Uint8Array.from(bytes));
    const [only, ...more] = decodePem('CERTIFICATE', bytes.toString('latin1'));
    if (only === undefined || more.length > 0) {
      throw new FormatError('malformed', `expected one certificate, found ${more.length + 1}`);
    }
    return parseCertificate(only);
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new KeysError('invalid', `${path}: ${cause.message}`, { cause });
  }
}

async function readPrivateKey(path: string): Promise<Buffer> {
  const bytes = await readSmall(path);
  const { mode } = await stat(path);
  if ((mode & 0o077) !== 0) {
    throw new KeysError('exposed', `${path}: other users may read it (mode ${(mode & 0o777).toString(8)})`, {
      hint: `chmod 600 ${path}`,
    });
  }
  return bytes;
}

async function readSmall(path: string): Promise<Buffer> {
  let size: number;
  try {
    ({ size } = await stat(path));
  } catch (cause) {
    throw new KeysError('missing', `${path}: not there`, { cause });
  }
  if (size > largestFile) throw new KeysError('invalid', `${path}: ${size} bytes are too many for a key`);
  return readFile(path);
}
