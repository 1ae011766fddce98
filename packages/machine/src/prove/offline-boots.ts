/**
 * The disk is changed while the machine is off. Each of these boots must end in the initrd, by a panic of dm-verity or
 * by the initrd's own stop, before anything of /usr has run.
 */

import { closeSync, openSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runOrThrow } from '../process/run.ts';
import type { DiskOptions } from '../vm/options.ts';
import { corruption } from './changed-byte.ts';
import type { ProofContext } from './context.ts';
import { bootDisk, releaseDisk } from './context.ts';
import { Guest } from './guest.ts';
import { hostStarted } from './refusals-boot.ts';
import type { Observation } from './row.ts';
import type { AttackRow } from './table.ts';
import { otherUsr } from './other-usr.ts';

/** The control, that the unchanged disk boots, is for the caller to add. @throws MachineError when it ends otherwise */
export async function offlineBoot(context: ProofContext, row: AttackRow): Promise<Observation> {
  const { disks, what } = await changedDisks(context, row.id);
  await using guest = await Guest.start(context, {
    name: row.id,
    title: `boot with ${what}`,
    disks,
    memoryMiB: 1024,
  });
  const line = await guest.waitFor(decisive, { unless: otherEnd }).catch((error: unknown) => {
    const started = guest.console.lines.find(({ text }) => hostStarted.test(text));
    if (started === undefined) throw error;
    return started;
  });
  const refused = !hostStarted.test(line.text);
  const off = refused && (await guest.stopsWithin(60_000));
  const kernel = guest.console.lines
    .map(({ text }) => text)
    .filter((text) => corruption.test(text) || signatureRefused.test(text));
  return {
    attempts: [
      {
        succeeded: !off,
        detail: `${what}: ${line.text}${refused ? (off ? '; the machine is off' : ', but the machine goes on') : ''}`,
      },
    ],
    control: null,
    kernel,
    seconds: guest.elapsed / 1000,
  };
}

/** Only what dm-verity or the initrd says: a machine may panic for reasons of its own, and that shows nothing. */
const decisive = /Kernel panic - not syncing: .*verity.*|osguard: boot refused: .*/;
const otherEnd = new RegExp(`Kernel panic|${hostStarted.source}`);
const signatureRefused = /device-mapper: .*[Rr]oot hash verification failed.*/;
const blockSize = 4096;

interface ChangedDisks {
  readonly disks: readonly DiskOptions[];
  readonly what: string;
}

async function changedDisks(context: ProofContext, id: string): Promise<ChangedDisks> {
  const { victim, disk } = context;
  switch (id) {
    case 'usr-tree': {
      // The leaf that covers the first blocks of /usr, the superblock among them: read before anything else.
      const block = readAt(disk, victim.firstLeaf, blockSize);
      block[0] = (block[0] ?? 0) ^ 1;
      const overlay = await changedOverlay(context, {
        id,
        writes: [{ offset: victim.firstLeaf, bytes: block }],
      });
      return { disks: [releaseDisk(context, 0, overlay)], what: 'one bit of the hash tree changed' };
    }
    case 'usr-unsigned': {
      const { data, tree } = otherUsr();
      const writes = [
        { offset: victim.data, bytes: data },
        { offset: victim.tree, bytes: tree },
      ];
      const overlay = await changedOverlay(context, { id, writes });
      return {
        disks: [releaseDisk(context, 0, overlay)],
        what: 'another EROFS with its own valid hash tree in the partitions of /usr',
      };
    }
    default:
      return {
        disks: [bootDisk(context.files.foreignUsr, 0), releaseDisk(context, 1)],
        what: 'the root hash of /usr signed by a foreign key, all else signed by the role boot',
      };
  }
}

interface DiskChange {
  readonly id: string;
  readonly writes: readonly { readonly offset: number; readonly bytes: Uint8Array }[];
}

/** A qcow2 overlay of the release's disk with these bytes in it; the disk itself is not copied. */
async function changedOverlay(context: ProofContext, { id, writes }: DiskChange): Promise<string> {
  const { tools, folder, disk } = context;
  const overlay = join(folder, `${id}.qcow2`);
  await runOrThrow(
    tools.command('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', disk, '-F', 'raw', overlay]),
  );
  for (const [index, { offset, bytes }] of writes.entries()) {
    const file = join(folder, `${id}-${index}`);
    writeFileSync(file, bytes);
    const command = `write -q -s ${file} ${offset} ${bytes.length}`;
    await runOrThrow(tools.command('qemu-io', ['-f', 'qcow2', '-c', command, overlay]));
  }
  return overlay;
}

function readAt(path: string, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const fd = openSync(path, 'r');
  try {
    readSync(fd, bytes, 0, length, offset);
    return bytes;
  } finally {
    closeSync(fd);
  }
}
