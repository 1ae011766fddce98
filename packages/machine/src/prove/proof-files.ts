/** Everything the proof needs on disk before a machine starts: boot images, volumes, policies, keys nobody trusts. */

import { mkdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ByteSource } from '@osguard/formats/bytes';
import { sourceOf } from '@osguard/formats/bytes';
import { appendSections, parsePe, readUkiSection, stripSignatures } from '@osguard/formats/pe';
import type { RootHash } from '@osguard/formats/verity';
import type { Keyring, Signer } from '@osguard/keys';
import { initKeys, loadKeyring, signIpePolicy, signPe, signRootHash } from '@osguard/keys';
import type { ContainerFiles } from '../containers/container-volume.ts';
import { writeContainerFiles } from '../containers/container-volume.ts';
import { MachineError } from '../error.ts';
import type { BootDisk } from './boot-images.ts';
import { writeBootDisk, writeTamperedDisks } from './boot-images.ts';
import { unlockedCommandLine, unprotectedCommandLine } from './command-line.ts';
import { answerProgram, buildIntruderVolume, intruderMount } from './intruder-volume.ts';
import { archive, plantedInitrd } from './planted-initrd.ts';
import { appendArchive, withSections } from './rebuild-uki.ts';
import type { Volume } from './volume.ts';
import { buildVolume } from './volume.ts';

export interface ProofFilesOptions {
  /** The release's own UKI. */
  readonly uki: string;
  readonly rootHash: RootHash;
  readonly keyring: Keyring;
  /** Tree of the tool set `intruder`. */
  readonly intruderTree: string;
  /** Folder to write to. */
  readonly folder: string;
  /** Whether the boots that only the full proof makes are wanted. */
  readonly full: boolean;
  /** Whether containers are attacked: needs the private keys of the roles usr and release as well. */
  readonly containers: boolean;
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
  /** The same without the disk around it. */
  readonly plantedUki: ByteSource;
  readonly intruder: { readonly path: string; readonly volume: Volume };
  readonly volumes: Readonly<Record<'unsigned' | 'foreign' | 'signed' | 'swapped', TestVolume>>;
  /** Signed IPE policies, base64. */
  readonly policies: Readonly<Record<'foreign' | 'older' | 'newer' | 'spare', string>>;
  /** The command line of the release. */
  readonly commandLine: string;
  /** Only for the full proof; empty names otherwise. */
  readonly unprotected: { readonly kernel: string; readonly initrd: string; readonly commandLine: string };
  /** Boot disk: SELinux permissive and CAP_MAC_ADMIN given back, the rest as in the release. */
  readonly unlocked: string;
  /** Boot disk: the root hash of /usr signed by a foreign key. */
  readonly foreignUsr: string;
  /** Only when containers are attacked. */
  readonly containers?: ContainerFiles;
}

export async function writeProofFiles(options: ProofFilesOptions): Promise<ProofFiles> {
  const { folder, keyring, full } = options;
  mkdirSync(folder, { recursive: true });
  const uki = sourceOf(readFileSync(options.uki));
  const parts = readParts(uki, options.uki);
  const foreign = await foreignKeyring(folder);
  const boot = await keyring.signer('boot');
  const layers = await keyring.signer('layers');

  const volumes = await testVolumes(layers, await foreign.signer('layers'));
  const volume = buildIntruderVolume({
    tree: options.intruderTree,
    kernel: parts.kernel,
    volumes: new Map(Object.entries(volumes).map(([name, each]) => [name, each.volume.bytes])),
    salt: 'intruder',
  });
  const intruder = { path: join(folder, 'intruder.raw'), volume };
  await writeFile(intruder.path, volume.bytes);
  const signature = await signRootHash(layers, volume.rootHash);
  const planted = appendSections(stripSignatures(uki), [
    { name: '.ucode', body: sourceOf(plantedInitrd({ volume, signature })) },
  ]);
  const bootable = async (name: string, image: ByteSource): Promise<string> =>
    writeBootDisk(join(folder, `${name}.raw`), await signPe(boot, image));
  const plantedUki = await signPe(boot, planted);
  return {
    tampered: await writeTamperedDisks(uki, { folder, foreign: await foreign.signer('boot') }),
    planted: writeBootDisk(join(folder, 'planted.raw'), plantedUki),
    plantedUki,
    intruder,
    volumes,
    policies: await policies(boot, await foreign.signer('boot')),
    commandLine: parts.commandLine,
    ...(options.containers && {
      containers: await writeContainerFiles({
        layers,
        usr: await keyring.signer('usr'),
        release: await keyring.signer('release'),
        foreign: await foreign.signer('layers'),
        tree: options.intruderTree,
        folder,
      }),
    }),
    ...(full
      ? await fullFiles({ uki, parts, options, volume, signature, foreign, bootable })
      : { unprotected: { kernel: '', initrd: '', commandLine: '' }, unlocked: '', foreignUsr: '' }),
  };
}

interface UkiParts {
  readonly kernel: Uint8Array;
  readonly initrd: Uint8Array;
  readonly commandLine: string;
}

function readParts(uki: ByteSource, path: string): UkiParts {
  const image = parsePe(uki);
  const section = (name: string): Uint8Array => {
    const body = readUkiSection(image, name);
    if (body === undefined) throw new MachineError('bad-option', `${path} has no section ${name}`);
    return Uint8Array.from(body.read(0, body.size));
  };
  const commandLine = Buffer.from(section('.cmdline')).toString('utf8').replace(/\0+$/, '');
  return { kernel: section('.linux'), initrd: section('.initrd'), commandLine };
}

interface FullFiles {
  readonly uki: ByteSource;
  readonly parts: UkiParts;
  readonly options: ProofFilesOptions;
  readonly volume: Volume;
  readonly signature: Uint8Array;
  readonly foreign: Keyring;
  readonly bootable: (name: string, image: ByteSource) => Promise<string>;
}

async function fullFiles(
  inputs: FullFiles,
): Promise<Pick<ProofFiles, 'unprotected' | 'unlocked' | 'foreignUsr'>> {
  const { uki, parts, volume, signature, foreign, bootable } = inputs;
  const { folder, rootHash } = inputs.options;
  // Nothing there checks the command line, and no key of the firmware could vouch for the IPE policy.
  const links = new Map([
    ['init', 'usr/lib/systemd/systemd'],
    ['etc/ipe/osguard.p7b', '/dev/null'],
  ]);
  const unprotected = {
    kernel: join(folder, 'vmlinuz'),
    initrd: join(folder, 'initrd'),
    commandLine: unprotectedCommandLine(parts.commandLine),
  };
  await writeFile(unprotected.kernel, parts.kernel);
  await writeFile(
    unprotected.initrd,
    appendArchive(parts.initrd, plantedInitrd({ volume, allCapabilities: true, noSysctls: true, links })),
  );
  const commandLine = unlockedCommandLine(parts.commandLine);
  // The guard compares with this file.
  const files = new Map([['cmdline', Buffer.from(`${commandLine}\n`)]]);
  const unlocked = plantedInitrd({ volume, signature, allCapabilities: true, files });
  const foreignSignature = await signRootHash(await foreign.signer('usr'), rootHash);
  return {
    unprotected,
    unlocked: await bootable(
      'unlocked',
      withSections(
        uki,
        new Map<string, Uint8Array>([
          ['.cmdline', Buffer.from(commandLine)],
          ['.initrd', appendArchive(parts.initrd, unlocked)],
        ]),
      ),
    ),
    foreignUsr: await bootable(
      'foreign-usr',
      withSections(
        uki,
        new Map([
          [
            '.initrd',
            appendArchive(parts.initrd, archive(new Map([['etc/verity/usr.p7s', foreignSignature]]))),
          ],
        ]),
      ),
    ),
  };
}

/** Keys nobody trusts. */
async function foreignKeyring(folder: string): Promise<Keyring> {
  const directory = join(folder, 'foreign-keys');
  const rsaBits = { usr: 2048, layers: 2048 } as const;
  await initKeys(directory, { name: 'foreign', roles: ['boot', 'usr', 'layers'], rsaBits });
  return loadKeyring(directory);
}

async function policies(boot: Signer, foreign: Signer): Promise<ProofFiles['policies']> {
  return {
    foreign: await openPolicy(foreign, 'policy_name=osguard policy_version=65535.65535.65535'),
    older: await openPolicy(boot, 'policy_name=osguard policy_version=0.0.0'),
    newer: await openPolicy(boot, 'policy_name=osguard policy_version=65535.65535.65535'),
    spare: await openPolicy(boot, 'policy_name=osguard_proof_spare policy_version=1.0.0'),
  };
}

/** Allows everything: what an attacker would load. Base64. */
async function openPolicy(signer: Signer, header: string): Promise<string> {
  const signed = await signIpePolicy(signer, `${header}\nDEFAULT action=ALLOW\n`);
  return Buffer.from(signed).toString('base64');
}

async function testVolume(name: string, signer?: Signer): Promise<TestVolume> {
  const volume = buildVolume({
    files: [{ path: 'answer', body: answerProgram(), mode: 0o755 }],
    label: () => 'system_u:object_r:bin_t:s0',
    salt: name,
  });
  const signature = signer && Buffer.from(await signRootHash(signer, volume.rootHash)).toString('hex');
  const path = `${intruderMount}/volumes/${name}`;
  return { volume, path, ...(signature !== undefined && { signature }) };
}

async function testVolumes(layers: Signer, foreign: Signer): Promise<ProofFiles['volumes']> {
  const signed = await testVolume('signed', layers);
  return {
    unsigned: await testVolume('unsigned'),
    foreign: await testVolume('foreign', foreign),
    signed,
    // The right signer's signature, but of another volume.
    swapped: {
      ...(await testVolume('swapped')),
      ...(signed.signature !== undefined && { signature: signed.signature }),
    },
  };
}
