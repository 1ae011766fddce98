/**
 * /run/osguard: what the node was given and how it stands. A tmpfs that ends with the boot; secrets are files of root
 * alone. A file appears whole or not at all.
 */

import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NodeError } from '../error.ts';
import type { NodeStatus } from './status.ts';

export interface Keep {
  /** No other secrets than these are there afterwards. */
  only(names: readonly string[]): void;
  /** Puts a secret there, or a newer one in its place. */
  secret(name: string, bytes: Uint8Array): void;
  status(status: NodeStatus): void;
}

/** RFC-free bound of the names of secrets: they become file names. */
const secretName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** `folder` must exist and belong to us. */
export function openKeep(folder = '/run/osguard'): Keep {
  const secrets = join(folder, 'secrets');
  return {
    only(names) {
      mkdirSync(secrets, { recursive: true, mode: 0o700 });
      for (const name of readdirSync(secrets)) {
        if (!names.includes(name)) rmSync(join(secrets, name), { recursive: true, force: true });
      }
    },
    secret(name, bytes) {
      // A verifier that is not ours to trust with paths.
      if (!secretName.test(name)) throw new NodeError('verifier', `${JSON.stringify(name)} is no name`);
      writeWhole(secrets, name, { bytes, mode: 0o600 });
    },
    status: (status) =>
      writeWhole(folder, 'status.json', { bytes: `${JSON.stringify(status, undefined, 2)}\n`, mode: 0o644 }),
  };
}

function writeWhole(
  folder: string,
  name: string,
  { bytes, mode }: { readonly bytes: Uint8Array | string; readonly mode: number },
): void {
  // No name of a secret begins with a dot.
  const part = join(folder, `.${name}.new`);
  rmSync(part, { force: true });
  writeFileSync(part, bytes, { mode, flag: 'wx' });
  renameSync(part, join(folder, name));
}
