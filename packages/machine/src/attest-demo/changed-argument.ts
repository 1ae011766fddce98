/**
 * The release's disk with one kernel argument changed by somebody who holds the boot key: a new boot image in the ESP,
 * signed as the firmware wants it, its initrd's own record of the command line changed along. Everything else is the
 * release's, bit for bit. Firmware, kernel and initrd have no reason to refuse it.
 */

import { readFileSync } from 'node:fs';
import type { ByteSource } from '@osguard/formats/bytes';
import { sourceOf } from '@osguard/formats/bytes';
import { parsePe, readUkiSection } from '@osguard/formats/pe';
import type { ReleaseFolder } from '@osguard/image';
import type { Signer } from '@osguard/keys';
import { signPe } from '@osguard/keys';
import { MachineError } from '../error.ts';
import { archive } from '../prove/planted-initrd.ts';
import { appendArchive, withSections } from '../prove/rebuild-uki.ts';
import type { EspOptions } from './esp.ts';
import { bootImagePath, rewriteEsp } from './esp.ts';

export interface ArgumentChange {
  readonly from: string;
  readonly to: string;
}

export interface ChangedArgumentOptions {
  readonly release: ReleaseFolder;
  /** Of the role boot. */
  readonly signer: Signer;
  readonly change: ArgumentChange;
}

/** Signed. @throws MachineError (`bad-option`) when the command line has no such argument */
export async function ukiWithChangedArgument({
  release,
  signer,
  change,
}: ChangedArgumentOptions): Promise<ByteSource> {
  const path = release.file('uki.efi');
  const uki = sourceOf(readFileSync(path));
  const image = parsePe(uki);
  const section = (name: string): Uint8Array => {
    const body = readUkiSection(image, name);
    if (body === undefined) throw new MachineError('bad-option', `${path} has no section ${name}`);
    return Uint8Array.from(body.read(0, body.size));
  };
  const line = Buffer.from(section('.cmdline')).toString('utf8').replace(/\0+$/, '');
  const words = line.split(' ');
  const index = words.indexOf(change.from);
  if (index < 0) {
    throw new MachineError('bad-option', `the command line of ${path} has no argument ${change.from}`, {
      data: { line },
    });
  }
  const changed = words.with(index, change.to).join(' ');
  // The guard in the initrd compares the kernel's command line with this file.
  const record = archive(new Map([['cmdline', Buffer.from(`${changed}\n`)]]));
  const contents = new Map<string, Uint8Array>([
    ['.cmdline', Buffer.from(changed)],
    ['.initrd', appendArchive(section('.initrd'), record)],
  ]);
  return signPe(signer, withSections(uki, contents));
}

/** Puts `uki` into the ESP of a qcow2 overlay of the release's disk, in place of the release's own. */
export async function replaceUki(overlay: string, uki: ByteSource, options: EspOptions): Promise<void> {
  await rewriteEsp(overlay, [{ path: bootImagePath, body: uki }], options);
}
