/**
 * KVM or TCG? A /dev/kvm that is there and can be opened may still not run our firmware (nested or paravirtualised
 * hosts without System Management Mode), so the answer is found by booting it, and kept until the next reboot.
 */

import { accessSync, constants, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { MachineError } from '../error.ts';
import { isRecord } from '../json.ts';
import { cacheFolder } from '../tools/open.ts';
import type { Tools } from '../tools/open.ts';
import { launch } from './launch.ts';
import type { Accelerator } from './options.ts';

export interface AcceleratorAnswer {
  readonly accelerator: Accelerator;
  /** What was seen. */
  readonly reason: string;
  /** True when /dev/kvm is there but this user may not open it. */
  readonly denied: boolean;
}

/** The firmware reaches its boot manager in about a second under KVM. */
const patienceMs = 20_000;

export async function chooseAccelerator(
  tools: Tools,
  cache: string = cacheFolder(),
): Promise<AcceleratorAnswer> {
  try {
    accessSync('/dev/kvm', constants.F_OK);
  } catch {
    return { accelerator: 'tcg', reason: '/dev/kvm does not exist', denied: false };
  }
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
  } catch {
    return { accelerator: 'tcg', reason: '/dev/kvm may not be opened by this user', denied: true };
  }
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const qemu = tools.command('qemu-system-x86_64', []).file;
  const path = join(cache, 'kvm.json');
  const known = readAnswer(path, { bootId, qemu });
  if (known !== undefined) return known;
  const answer = await probe(tools);
  try {
    mkdirSync(cache, { recursive: true });
    writeFileSync(`${path}.${process.pid}`, JSON.stringify({ ...answer, bootId, qemu }));
    renameSync(`${path}.${process.pid}`, path);
  } catch {
    // Not being able to remember costs a probe the next time, nothing else.
  }
  return answer;
}

function readAnswer(path: string, key: { bootId: string; qemu: string }): AcceleratorAnswer | undefined {
  try {
    const kept: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (!isRecord(kept)) return undefined;
    const { accelerator, reason } = kept;
    if (kept['bootId'] !== key.bootId || kept['qemu'] !== key.qemu || typeof reason !== 'string')
      return undefined;
    return accelerator === 'kvm' || accelerator === 'tcg'
      ? { accelerator, reason, denied: false }
      : undefined;
  } catch {
    return undefined;
  }
}

async function probe(tools: Tools): Promise<AcceleratorAnswer> {
  try {
    await using machine = await launch({ tools, tpm: false, memoryMiB: 512 }, 'kvm');
    await machine.console.waitFor('BdsDxe', { timeoutMs: patienceMs });
    return {
      accelerator: 'kvm',
      reason: `KVM booted the firmware in ${Math.round(machine.elapsed())} ms`,
      denied: false,
    };
  } catch (error) {
    const first = error instanceof MachineError ? error.message.split('\n')[0] : String(error);
    return { accelerator: 'tcg', reason: `KVM does not boot the firmware here: ${first}`, denied: false };
  }
}
