/** Everything the proof needs on disk before a machine starts: tampered and planted boot images, volumes, keys. */

import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ByteSource, Segment } from '@osguard/formats/bytes';
import { segmentSource, sourceOf } from '@osguard/formats/bytes';
import { writeFat } from '@osguard/formats/fat';
import { appendSections, parsePe, readUkiSection, sectionBody, stripSignatures } from '@osguard/formats/pe';
import type { Keyring, Signer } from '@osguard/keys';
import { initKeys, loadKeyring, signIpePolicy, signPe, signRootHash } from '@osguard/keys';
import { MachineError } from '../error.ts';
import { answerProgram, buildIntruderVolume, intruderMount } from './intruder-volume.ts';
import { plantedInitrd } from './planted-initrd.ts';
import type { Volume } from './volume.ts';
import { buildVolume } from './volume.ts';

const mebibyte = 1024 * 1024;

export interface ProofFilesOptions {
  /** The release's own UKI. */
  readonly uki: string;
  readonly keyring: Keyring;
  /** Tree of the tool set `intruder`. */
  readonly intruderTree: string;
  /** Folder to write to. */
  readonly folder: string;
}

/** One boot image on a disk of its own, as the firmware finds it. */
export interface BootDisk {
  readonly id: 'uki-unsigned' | 'uki-foreign' | 'uki-cmdline' | 'uki-section';
  readonly path: string;
}

export interface TestVolume {
  readonly volume: Volume;
  /** Its file on the intruder's volume. */
  readonly path: string;
  /** Hex of a PKCS#7, as the agent takes it. */
  readonly signature?: string;
}

export interface ProofFiles {
  readonly tampered: readonly BootDisk[];
  /** The release's UKI with the intruder planted, signed by the role boot. */
  readonly planted: string;
  readonly intruder: { readonly path: string; readonly volume: Volume };
  readonly volumes: Readonly<Record<'unsigned' | 'foreign' | 'signed' | 'swapped', TestVolume>>;
  /** Signed IPE policies, base64. */
  readonly policies: Readonly<Record<'foreign' | 'older', string>>;
  /** The kernel and the initrd of the release, for the control boot. */
  readonly kernel: string;
  readonly initrd: string;
  readonly commandLine: string;
}

/** Allows everything: what an attacker would load. */
function openPolicy(name: string, version: string): string {
  return `policy_name=${name} policy_version=${version}\nDEFAULT action=ALLOW\n`;
}

export async function writeProofFiles(options: ProofFilesOptions): Promise<ProofFiles> {
  const { folder, keyring } = options;
  mkdirSync(folder, { recursive: true });
  const uki = sourceOf(readFileSync(options.uki));
  const image = parsePe(uki);
  const section = (name: string): Uint8Array => {
    const body = readUkiSection(image, name);
    if (body === undefined) throw new MachineError('bad-option', `${options.uki} has no section ${name}`);
    return Uint8Array.from(body.read(0, body.size));
  };
  const foreign = await foreignKeyring(folder);
  const boot = await keyring.signer('boot');
  const layers = await keyring.signer('layers');

  const kernel = section('.linux');
  const volumes = await testVolumes(layers, await foreign.signer('layers'));
  const intruder = buildIntruderVolume({
    tree: options.intruderTree,
    kernel,
    volumes: new Map(Object.entries(volumes).map(([name, { volume }]) => [name, volume.bytes])),
    salt: 'intruder',
  });
  const cpio = plantedInitrd({
    volume: intruder,
    signature: await signRootHash(layers, intruder.rootHash),
    links: new Map(),
  });
  const unsigned = stripSignatures(uki);
  const planted = await signPe(boot, appendSections(unsigned, [{ name: '.ucode', body: sourceOf(cpio) }]));

  const tampered: BootDisk[] = [];
  const add = (id: BootDisk['id'], body: ByteSource): void => {
    tampered.push({ id, path: writeBootDisk(join(folder, `${id}.raw`), body) });
  };
  add('uki-unsigned', unsigned);
  add('uki-foreign', await signPe(await foreign.signer('boot'), unsigned));
  add('uki-cmdline', withFlippedBit(uki, '.cmdline'));
  add('uki-section', withFlippedBit(uki, '.initrd'));

  const paths = {
    intruder: join(folder, 'intruder.raw'),
    kernel: join(folder, 'vmlinuz'),
    initrd: join(folder, 'initrd'),
  };
  await writeFile(paths.intruder, intruder.bytes);
  await writeFile(paths.kernel, kernel);
  await writeFile(paths.initrd, controlInitrd(section('.initrd'), intruder));
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
  return {
    tampered,
    planted: writeBootDisk(join(folder, 'planted.raw'), planted),
    intruder: { path: paths.intruder, volume: intruder },
    volumes,
    policies: {
      foreign: base64(await signIpePolicy(await foreign.signer('boot'), openPolicy('osguard', '9.9.9'))),
      older: base64(await signIpePolicy(boot, openPolicy('osguard', '0.0.0'))),
    },
    kernel: paths.kernel,
    initrd: paths.initrd,
    commandLine: Buffer.from(section('.cmdline')).toString('utf8').replace(/\0+$/, ''),
  };
}

/** Keys nobody trusts. */
async function foreignKeyring(folder: string): Promise<Keyring> {
  const directory = join(folder, 'foreign-keys');
  await initKeys(directory, { name: 'foreign', roles: ['boot', 'layers'], rsaBits: { layers: 2048 } });
  return loadKeyring(directory);
}

async function testVolumes(layers: Signer, foreign: Signer): Promise<ProofFiles['volumes']> {
  const make = async (name: string, signer?: Signer): Promise<TestVolume> => {
    const volume = smallVolume(name);
    const signature = signer && Buffer.from(await signRootHash(signer, volume.rootHash)).toString('hex');
    return {
      volume,
      path: `${intruderMount}/volumes/${name}`,
      ...(signature !== undefined && { signature }),
    };
  };
  const signed = await make('signed', layers);
  return {
    unsigned: await make('unsigned'),
    foreign: await make('foreign', foreign),
    signed,
    // The right signer's signature, but of another volume.
    swapped: {
      ...(await make('swapped')),
      ...(signed.signature !== undefined && { signature: signed.signature }),
    },
  };
}

function smallVolume(name: string): Volume {
  return buildVolume({
    files: [{ path: 'answer', body: answerProgram(), mode: 0o755 }],
    label: () => 'system_u:object_r:bin_t:s0',
    salt: name,
  });
}

/** The release's initrd with the intruder behind it and systemd in the place of the guard: nothing is enforced there. */
function controlInitrd(initrd: Uint8Array, volume: Volume): Uint8Array {
  const padding = new Uint8Array(-initrd.length & 3);
  const links = new Map([['init', 'usr/lib/systemd/systemd']]);
  return Buffer.concat([initrd, padding, plantedInitrd({ volume, links })]);
}

/** The image with one bit of a section changed, signature and all else as they were. */
function withFlippedBit(image: ByteSource, name: string): ByteSource {
  const parsed = parsePe(image);
  const section = parsed.sections.find((each) => each.name === name);
  if (section === undefined) throw new MachineError('bad-option', `the UKI has no section ${name}`);
  const body = sectionBody(parsed, section);
  const at = section.rawOffset + (body.size >> 1);
  const bytes = Uint8Array.from(image.read(0, image.size));
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return sourceOf(bytes);
}

/** A disk without partitions whose FAT volume holds the image as removable-media default. */
function writeBootDisk(path: string, image: ByteSource): string {
  const size = Math.max(64 * mebibyte, Math.ceil((image.size + 8 * mebibyte) / mebibyte) * mebibyte);
  const { segments } = writeFat({
    size,
    volumeId: 0x05a1_0001,
    label: 'PROOF',
    mtime: 0x386d_4380,
    files: [{ path: 'EFI/BOOT/BOOTX64.EFI', body: image }],
  });
  writeSparse(path, segments, size);
  return path;
}

function writeSparse(path: string, segments: readonly Segment[], size: number): void {
  const whole = segmentSource(segments, size);
  const fd = openSync(path, 'w');
  try {
    for (const { offset, body } of segments) {
      for (let at = 0; at < body.size; at += 4 * mebibyte) {
        const piece = body.read(at, Math.min(4 * mebibyte, body.size - at));
        writeSync(fd, piece, 0, piece.length, offset + at);
      }
    }
    // The last byte gives the file its size; everything between the segments stays a hole.
    writeSync(fd, whole.read(size - 1, 1), 0, 1, size - 1);
  } finally {
    closeSync(fd);
  }
}
