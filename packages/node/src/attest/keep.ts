/**
 * /run/osguard: what the node was given and how it stands. A tmpfs that ends with the boot; secrets are files of root
 * alone. A file appears whole or not at all.
 */

import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NodeStatus } from './status.ts';

export interface Keep {
  /** Exactly these secrets are there afterwards. */
  secrets(given: ReadonlyMap<string, Uint8Array>): void;
  status(status: NodeStatus): void;
}

/** RFC-free bound of the names of secrets: they become file names. */
const secretName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** `folder` must exist and belong to us. */
export function openKeep(folder = '/run/osguard'): Keep {
  const secrets = join(folder, 'secrets');
  return {
    secrets(given) {
      mkdirSync(secrets, { recursive: true, mode: 0o700 });
      for (const name of readdirSync(secrets)) {
        if (!given.has(name)) rmSync(join(secrets, name), { recursive: true, force: true });
      }
      for (const [name, bytes] of given) {
        // A verifier that is not ours to trust with paths.
        if (!secretName.test(name)) continue;
        writeWhole(secrets, name, { bytes, mode: 0o600 });
      }
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
