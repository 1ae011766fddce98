/**
 * The newest list of revoked layers this host has seen. It comes with what the verifier gives a trusted node, or is put on
 * /var by hand; only the signature of the role release makes it count, and never a lower version than before.
 */

import { closeSync, fsyncSync, lstatSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { FormatError } from '@osguard/formats/bytes';
import type { DsseKey } from '@osguard/formats/dsse';
import { certificateDsseKey, parseDsse, verifyDsse } from '@osguard/formats/dsse';
import type { LayerRevocations } from '@osguard/formats/layer';
import { largestRevocations, layerRevocationsType, parseLayerRevocations } from '@osguard/formats/layer';
import type { Certificate } from '@osguard/formats/x509';
import { readOwnFile } from './own-files.ts';

export interface RevocationsOptions {
  /** Of the role release, out of signed /usr. */
  readonly release: Certificate;
  /** Files where a newer list may appear. */
  readonly sources: readonly string[];
  /** Where the newest is kept. */
  readonly kept: string;
  readonly log: (message: string) => void;
}

export class Revocations {
  readonly #options: RevocationsOptions;
  readonly #key: DsseKey;
  /** What each file was when it was last read. */
  readonly #seen = new Map<string, string>();
  #list: LayerRevocations | undefined;
  #rootHashes: ReadonlyMap<string, string> = new Map();
  #signers: ReadonlyMap<string, string> = new Map();

  constructor(options: RevocationsOptions) {
    this.#options = options;
    this.#key = certificateDsseKey(options.release);
    this.refresh();
  }

  /** 0 while there is none. */
  get version(): number {
    return this.#list?.version ?? 0;
  }

  /** The reason, when it is revoked. */
  rootHash(rootHash: string): string | undefined {
    return this.#rootHashes.get(rootHash);
  }

  /** @param fingerprint SHA-256 of the certificate, lower-case hex. */
  signer(fingerprint: string): string | undefined {
    return this.#signers.get(fingerprint);
  }

  /** Looks at files that changed since the last time. */
  refresh(): void {
    const { kept, sources, log } = this.#options;
    for (const path of [kept, ...sources]) {
      const changed = this.#readChanged(path);
      if (changed === undefined) continue;
      try {
        this.#take(changed.bytes, path);
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        log(`the list of revoked layers in ${path} is not taken: ${error.message}`);
      }
      // Not before: a list that could not be read or kept is looked at again, not forgotten.
      this.#seen.set(path, changed.mark);
    }
  }

  /** Undefined when the file is not there, or is the one that was looked at before. */
  #readChanged(path: string): { readonly bytes: Uint8Array; readonly mark: string } | undefined {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined) return undefined;
    const mark = `${found.mtimeMs} ${found.size} ${found.ino}`;
    if (this.#seen.get(path) === mark) return undefined;
    const bytes = readOwnFile(path, largestRevocations);
    return bytes && { bytes, mark };
  }

  #take(bytes: Uint8Array, path: string): void {
    const { kept, log } = this.#options;
    const envelope = parseDsse(bytes);
    if (envelope.payloadType !== layerRevocationsType) {
      throw new FormatError('not-this-format', `is ${envelope.payloadType}`);
    }
    if (verifyDsse(envelope, [this.#key]).signedBy.length === 0) {
      throw new FormatError('malformed', 'not signed by the role release of this host');
    }
    const list = parseLayerRevocations(envelope.payload);
    if (list.version < this.version) {
      log(`the list of revoked layers in ${path} has version ${list.version}; version ${this.version} stays`);
      return;
    }
    if (list.version === this.version) return;
    // First, so that a list which cannot be kept does not count as taken.
    if (path !== kept) keep(kept, bytes);
    this.#list = list;
    this.#rootHashes = new Map(list.rootHashes.map(({ rootHash, reason }) => [rootHash, reason]));
    this.#signers = new Map(list.signers.map(({ fingerprint, reason }) => [fingerprint, reason]));
    const { rootHashes, signers } = list;
    log(
      `revoked layers, version ${list.version}: ${rootHashes.length} root hashes, ${signers.length} signers`,
    );
  }
}

function keep(path: string, bytes: Uint8Array): void {
  const aside = `${path}.new`;
  rmSync(aside, { force: true });
  const fd = openSync(aside, 'wx', 0o600);
  try {
    writeFileSync(fd, bytes);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(aside, path);
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
