/** Brings the disks of a machine into the form QEMU opens: throw-away and persistent overlays are made here. */

import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { MachineError } from '../error.ts';
import { runOrThrow } from '../process/run.ts';
import type { Tools } from '../tools/open.ts';
import type { DiskOptions } from './options.ts';
import type { DiskPlan } from './qemu-args.ts';

/** @param scratch folder for throw-away overlays, removed with the machine */
export async function prepareDisks(
  tools: Tools,
  disks: readonly DiskOptions[],
  scratch: string,
): Promise<readonly DiskPlan[]> {
  const plans: DiskPlan[] = [];
  for (const [index, disk] of disks.entries()) {
    const path = resolve(disk.path);
    if (!existsSync(path)) throw new MachineError('bad-option', `the disk image ${path} does not exist`);
    if ((disk.serial?.length ?? 0) > 20)
      throw new MachineError('bad-option', `the serial number ${disk.serial} is longer than 20 characters`);
    const common = { bootIndex: disk.bootIndex ?? index, serial: disk.serial };
    if (disk.writes === 'persistent' || disk.writes === 'readonly') {
      plans.push({
        ...common,
        path,
        format: disk.format,
        readOnly: disk.writes === 'readonly',
        scratch: false,
      });
      continue;
    }
    const throwAway = disk.writes === 'snapshot';
    const overlay =
      disk.writes === 'snapshot' ? join(scratch, `disk${index}.qcow2`) : resolve(disk.writes.overlay);
    if (throwAway || !existsSync(overlay)) {
      const args = ['create', '-q', '-f', 'qcow2', '-b', path, '-F', disk.format, overlay];
      await runOrThrow(tools.command('qemu-img', args));
    }
    plans.push({ ...common, path: overlay, format: 'qcow2', readOnly: false, scratch: throwAway });
  }
  return plans;
}
