/**
 * The life of a virtual TPM before and beside its machine: manufactured with certificates of its endorsement keys,
 * cleared as an owner would, and asked who it is. Its state lies in the machine's state folder and goes with it.
 */

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ekTemplateP256, ekTemplateRsa2048, publicAreaName } from '@osguard/formats/tpm2';
import { toHex } from '@osguard/formats/bytes';
import {
  clear,
  createPrimary,
  endorsementKey,
  flushContext,
  nvProvision,
  openSocket,
  releaseKey,
  shutdown,
  startup,
  Tpm,
} from '@osguard/tpm';
import type { Tools } from '../tools/open.ts';
import { startTpm } from './swtpm.ts';
import type { TpmAuthority } from './tpm-authority.ts';

/** Folder of the TPM inside the state folder of a machine. */
export const tpmStateFolder = 'tpm';

const profiles = [
  { template: ekTemplateRsa2048, index: 0x01c0_0002 },
  { template: ekTemplateP256, index: 0x01c0_000a },
] as const;

export interface TpmPassport {
  /** Lower-case hex SHA-256 of the endorsement key's public area: the node's identity. */
  readonly ek: string;
  /** DER, the key's own first. */
  readonly certificates: readonly Uint8Array[];
}

/** Makes the TPM of the machine whose state folder is given, with certificates for its RSA and ECC endorsement keys. */
export async function manufactureTpm(
  tools: Tools,
  options: { readonly state: string; readonly authority: TpmAuthority },
): Promise<TpmPassport> {
  return withTpm(tools, options.state, async (tpm) => {
    for (const { template, index } of profiles) {
      const key = await createPrimary(tpm, { hierarchy: 'endorsement', template });
      await flushContext(tpm, key.handle);
      await nvProvision(tpm, index, options.authority.issue(key.area));
    }
    return passport(tpm);
  });
}

/** Who a TPM is; its machine must be off. */
export async function readTpmPassport(tools: Tools, state: string): Promise<TpmPassport> {
  return withTpm(tools, state, passport);
}

/** TPM2_Clear by the platform, as a firmware menu does it; the machine must be off. */
export async function clearTpm(tools: Tools, state: string): Promise<void> {
  await withTpm(tools, state, (tpm) => clear(tpm, { by: 'platform' }));
}

/** Runs `work` with the TPM switched on and no machine around it. */
export async function withTpm<T>(tools: Tools, state: string, work: (tpm: Tpm) => Promise<T>): Promise<T> {
  const folder = join(resolve(state), tpmStateFolder);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const run = mkdtempSync(join(tmpdir(), 'osguard-tpm-'));
  const server = join(run, 'tpm');
  try {
    const child = await startTpm(tools, { folder, socket: `${server}.ctrl`, server });
    try {
      await using tpm = new Tpm(await openSocket({ path: server }));
      await startup(tpm);
      const result = await work(tpm);
      await shutdown(tpm);
      return result;
    } finally {
      // It ends when the connection does; its state must be whole before a machine takes it.
      await child.kill(2000);
    }
  } finally {
    rmSync(run, { recursive: true, force: true });
  }
}

async function passport(tpm: Tpm): Promise<TpmPassport> {
  const key = await endorsementKey(tpm);
  await releaseKey(tpm, key);
  return { ek: toHex(publicAreaName(key.area).subarray(2)), certificates: key.certificates };
}
