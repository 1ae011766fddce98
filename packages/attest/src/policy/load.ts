/** A policy file and everything it names: certificates, releases. Mistakes are diagnostics at the line that names the file. */

import { hash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Diagnostic } from '@osguard/events';
import { OsguardError } from '@osguard/events';
import { decodePem, parseCertificate, parseRevocationList } from '@osguard/formats/x509';
import type { Certificate, RevocationList } from '@osguard/formats/x509';
import { FormatError } from '@osguard/formats/bytes';
import { mistakesIn, placed } from '@osguard/image';
import { namedRole } from '@osguard/keys';
import { manifestFile, openReferenceRelease, referenceValuesFile } from '../release/open.ts';
import type { ReferenceRelease } from '../release/types.ts';
import { parsePolicy, policyAsWritten } from './parse.ts';
import type { ParsedPolicy } from './parse.ts';
import type { Policy, WrittenPolicy } from './types.ts';

export interface LoadedPolicy {
  readonly policy: Policy;
  /** The releases the policy names, verified, with the state it gives them. */
  readonly releases: readonly ReferenceRelease[];
  readonly warnings: readonly Diagnostic[];
  readonly text: string;
  /** SHA-256 of everything that was read, the policy first: path to lower-case hex. */
  readonly files: ReadonlyMap<string, string>;
}

type Path = readonly (string | number)[];

/** Bytes: a policy with a long list of keys; a bundle of root certificates; a revocation list; a release file. */
const largest = {
  policy: 8 * 1024 * 1024,
  certificates: 4 * 1024 * 1024,
  revocationList: 16 * 1024 * 1024,
  release: 8 * 1024 * 1024,
} as const;

/** @throws DiagnosticsError with all mistakes, also those in the files it names. */
export async function loadPolicy(file: string): Promise<LoadedPolicy> {
  let text: string;
  let digest: string;
  try {
    const bytes = await readBounded(file, largest.policy);
    digest = sha256(bytes);
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    const message = `cannot be read: ${reasonOf(cause)}`;
    throw mistakesIn(policyAsWritten('', file), [{ severity: 'error', code: 'not-readable', message, file }]);
  }
  const parsed = parsePolicy(text, { file });
  const reader = new NamedFiles(dirname(file), parsed, file);
  const { written } = parsed;
  const { endorsement } = written.trust;
  const trustAt = ['trust', 'endorsement'];
  const endorsementRoots = await reader.certificates(endorsement.roots, [...trustAt, 'roots']);
  const intermediates = await reader.certificates(endorsement.intermediates, [...trustAt, 'intermediates']);
  const lists = await reader.revocationLists(endorsement.revocation.lists, [
    ...trustAt,
    'revocation',
    'lists',
  ]);
  const signers = await reader.certificates(written.trust.release, ['trust', 'release']);
  for (const [index, signer] of signers.entries()) {
    const role = namedRole(signer);
    if (role !== undefined && role !== 'release') {
      reader.mistake('wrong-role', `is the certificate of the role ${role}, not release`, [
        'trust',
        'release',
        index,
      ]);
    }
  }
  const releases: ReferenceRelease[] = [];
  for (const [index, release] of written.releases.entries()) {
    const opened = await reader.release(release, { trust: signers, path: ['releases', index, 'folder'] });
    if (opened === undefined) continue;
    if (releases.some(({ id }) => id === opened.id)) {
      reader.mistake('duplicate', `${release.folder} is a release already named: a release has one state`, [
        'releases',
        index,
        'folder',
      ]);
    }
    releases.push(opened);
  }
  if (reader.mistakes.length > 0) {
    throw mistakesIn(policyAsWritten(text, file), [...reader.mistakes, ...parsed.warnings]);
  }
  const policy = settle(written, { endorsementRoots, intermediates, lists, signers });
  const files = new Map([[file, digest], ...reader.files]);
  return { policy, releases, warnings: parsed.warnings, text, files };
}

interface Certificates {
  readonly endorsementRoots: readonly Certificate[];
  readonly intermediates: readonly Certificate[];
  readonly lists?: readonly RevocationList[];
  readonly signers: readonly Certificate[];
}

/** The policy with certificates in the place of paths. */
export function settle(written: WrittenPolicy, certificates: Certificates): Policy {
  const { name, trust, releases, minimumVersion, rollbackProtection, quote, firmware } = written;
  return {
    name,
    trust: {
      endorsementRoots: certificates.endorsementRoots,
      endorsementIntermediates: certificates.intermediates,
      endorsementKeys: new Set(trust.endorsement.keys),
      revocation: { ...trust.endorsement.revocation, lists: certificates.lists ?? [] },
      release: certificates.signers,
    },
    releases: releases.map(({ folder, state, from, until }) => ({ folder, state, from, until })),
    minimumVersion,
    rollbackProtection,
    quote: { ...quote, pcrs: quote.pcrs.toSorted((a, b) => a - b) },
    firmware,
    verdict: written.verdict,
    token: written.token,
  };
}

class NamedFiles {
  readonly mistakes: Diagnostic[] = [];
  readonly files = new Map<string, string>();
  readonly #folder: string;
  readonly #parsed: ParsedPolicy;
  readonly #file: string;

  constructor(folder: string, parsed: ParsedPolicy, file: string) {
    this.#folder = folder;
    this.#parsed = parsed;
    this.#file = file;
  }

  mistake(code: string, message: string, path: Path): void {
    this.mistakes.push(placed({ severity: 'error', code, message, path }, this.#parsed.located, this.#file));
  }

  async certificates(names: readonly string[], path: Path): Promise<readonly Certificate[]> {
    const { certificates: most } = largest;
    return this.#each(names, { path, code: 'certificate', most, read: certificatesIn });
  }

  async revocationLists(names: readonly string[], path: Path): Promise<readonly RevocationList[]> {
    const { revocationList: most } = largest;
    return this.#each(names, { path, code: 'revocation-list', most, read: revocationListsIn });
  }

  async #each<T>(
    names: readonly string[],
    {
      path,
      code,
      most,
      read,
    }: { path: Path; code: string; most: number; read: (bytes: Buffer) => readonly T[] },
  ): Promise<readonly T[]> {
    const found: T[] = [];
    for (const [index, name] of names.entries()) {
      try {
        found.push(...read(await this.#read(name, most)));
      } catch (cause) {
        this.mistake(code, `${name}: ${reasonOf(cause)}`, [...path, index]);
      }
    }
    return found;
  }

  async #read(name: string, most: number): Promise<Buffer> {
    const file = join(this.#folder, name);
    const bytes = await readBounded(file, most);
    this.files.set(file, sha256(bytes));
    return bytes;
  }

  async release(
    { folder, state, from, until }: WrittenPolicy['releases'][number],
    { trust, path }: { readonly trust: readonly Certificate[]; readonly path: Path },
  ): Promise<ReferenceRelease | undefined> {
    try {
      const manifest = await this.#read(join(folder, manifestFile), largest.release);
      const referenceValues = await this.#read(join(folder, referenceValuesFile), largest.release);
      return openReferenceRelease({ manifest, referenceValues }, { trust, state, from, until });
    } catch (cause) {
      this.mistake('release', `${folder}: ${reasonOf(cause)}`, path);
      return undefined;
    }
  }
}

/** One certificate in DER, or one and more in PEM. @throws FormatError */
export function certificatesIn(bytes: Buffer): readonly Certificate[] {
  return dersIn('CERTIFICATE', bytes).map(parseCertificate);
}

function revocationListsIn(bytes: Buffer): readonly RevocationList[] {
  return dersIn('X509 CRL', bytes).map(parseRevocationList);
}

function dersIn(label: string, bytes: Buffer): readonly Uint8Array[] {
  return bytes[0] === 0x30 ? [bytes] : decodePem(label, bytes.toString('latin1'));
}

function sha256(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'hex');
}

async function readBounded(file: string, most: number): Promise<Buffer> {
  const { size } = await stat(file);
  if (size > most) throw new FormatError('too-large', `${size} bytes, ${most} are accepted`);
  return readFile(file);
}

/** Errors of files and formats in a few words; anything else is a bug and passes. */
function reasonOf(cause: unknown): string {
  if (cause instanceof FormatError || cause instanceof OsguardError) return cause.message;
  if (cause instanceof Error && 'code' in cause && typeof cause.code === 'string') {
    return cause.code === 'ENOENT' ? 'no such file' : cause.code;
  }
  throw cause;
}
