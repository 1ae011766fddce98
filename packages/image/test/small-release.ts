/** A release of a few files, made by the same functions as a real one, for tests that change it and verify it again. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { sourceOf } from '@osguard/formats/bytes';
import type { CpioEntry } from '@osguard/formats/cpio';
import { writeCpio } from '@osguard/formats/cpio';
import { writeFat } from '@osguard/formats/fat';
import { buildUki } from '@osguard/formats/pe';
import type { ReleaseManifest } from '@osguard/formats/release';
import { compileFileContexts, parseFileContexts } from '@osguard/formats/selinux';
import type { Keyring } from '@osguard/keys';
import { signIpePolicy, signPe, signRootHash } from '@osguard/keys';
import { makePe } from '@osguard/testkit';
import { parseDefinition } from '../src/definition/index.ts';
import { writeDisk } from '../src/disk/assemble.ts';
import { planHostDisk, removableMediaPath } from '../src/disk/host-disk.ts';
import { FileThreads } from '../src/files/file-threads.ts';
import { openFileSource } from '../src/files/source.ts';
import { commandLine, ipePolicy } from '../src/host/index.ts';
import { writeReferenceValues } from '../src/measure/index.ts';
import type { Lock } from '../src/packages/index.ts';
import { encodeLock } from '../src/packages/index.ts';
import type { WriteManifestOptions } from '../src/release/manifest.ts';
import { writeManifest } from '../src/release/manifest.ts';
import type { DescribedPiece } from '../src/release/pieces.ts';
import { describePieces } from '../src/release/pieces.ts';
import { describeBuild } from '../src/release/provenance.ts';
import { writeSbom } from '../src/release/sbom.ts';
import { RootTree } from '../src/tree/index.ts';
import { usrSalt, writeUsr } from '../src/usr/write-usr.ts';

type Build = WriteManifestOptions['build'];

export interface SmallReleaseOptions {
  readonly keyring: Keyring;
  /** Replaces what would be signed and written, to make one thing wrong. */
  readonly change?: {
    readonly commandLine?: (line: string) => string;
    readonly policy?: (text: string) => string;
    readonly selinux?: string;
    readonly signers?: ReadonlyMap<string, Uint8Array>;
    readonly espFiles?: ReadonlyMap<string, Uint8Array>;
    readonly usrSigner?: Keyring;
    readonly bootSigner?: Keyring;
    readonly releaseSigner?: Keyring;
    readonly measuredKeys?: Keyring;
    /** What the manifest says, which the role release signs all the same. */
    readonly facts?: Partial<Omit<ReleaseManifest, 'files'>>;
    readonly usrDigest?: string;
    readonly build?: (build: Build) => Build;
    readonly lock?: Lock;
    readonly pieces?: (pieces: readonly DescribedPiece[]) => readonly DescribedPiece[];
  };
}

const time = 1_700_000_000;

export const smallLock: Lock = {
  schema: 'osguard-lock/v1',
  architecture: 'amd64',
  suite: 'trixie',
  time,
  request: { base: ['base-files'], extra: [] },
  packages: [
    {
      name: 'base-files',
      version: '13.8+deb13u1',
      architecture: 'amd64',
      archive: 'debian',
      path: 'pool/main/b/base-files/base-files_13.8+deb13u1_amd64.deb',
      size: 73_000,
      sha256: '5a'.repeat(32),
      stage: 'base',
    },
  ],
};

export async function writeSmallRelease(folder: string, options: SmallReleaseOptions): Promise<void> {
  const { keyring, change = {} } = options;
  mkdirSync(folder);
  const file = (name: string): string => join(folder, name);
  const loaded = parseDefinition(
    'schema: osguard/v1\nname: small\nversion: "1"\ndisk: { esp: 36 MiB, usr: 1 MiB, var: 1 MiB }\n',
  );
  const { definition } = loaded;
  const tree = new RootTree();
  tree.putDirectory('usr');
  tree.putFile('usr/bin/program', new Uint8Array(20_000).fill(7), { mode: 0o755 });
  const mode = change.selinux ?? 'enforcing';
  tree.putFile('usr/share/selinux-etc/config', `SELINUX=${mode}\nSELINUXTYPE=default\n`);
  tree.putFile('usr/share/selinux-etc/default/policy/policy.33', 'policy');
  const contexts = Buffer.from('/usr(/.*)?	system_u:object_r:usr_t:s0\n');
  const { rootHash } = writeUsr(tree, {
    imagePath: file('usr.erofs'),
    treePath: file('usr.verity'),
    labels: compileFileContexts({ specs: parseFileContexts(contexts, 'file_contexts') }),
    salt: usrSalt(definition),
    sourceDateEpoch: time,
  });
  const usrSigner = await (change.usrSigner ?? keyring).signer('usr');
  const boot = await (change.bootSigner ?? keyring).signer('boot');
  const signature = await signRootHash(usrSigner, rootHash);
  const line = commandLine(definition, { rootHash, kernelRelease: '7.3.0' });
  const shown = change.commandLine?.(line) ?? line;
  const policy = ipePolicy({ rootHash, time }).text;
  const signedPolicy = await signIpePolicy(boot, change.policy?.(policy) ?? policy);
  const signers = change.signers ?? new Map([['usr', keyring.certificate('usr').der]]);
  const initrd = packed([
    ['etc/ipe/osguard.p7b', signedPolicy],
    ['etc/verity/usr.p7s', signature],
    ...Array.from(signers, ([name, der]): [string, Uint8Array] => [`etc/verity/trust/${name}.der`, der]),
  ]);
  const unsigned = buildUki({
    stub: sourceOf(makePe({ gap: 0x800 })),
    linux: sourceOf(makePe({})),
    initrd: sourceOf(initrd),
    cmdline: shown,
    osRelease: 'ID=osguard\n',
  });
  const uki = await signPe(boot, unsigned);
  writeFileSync(file('uki.efi'), uki.read(0, uki.size));
  await writeReferenceValues(folder, {
    name: 'small',
    version: '1',
    kernel: '7.3.0',
    bootCertificate: boot.certificate,
    keyring: change.measuredKeys ?? keyring,
  });
  using usr = openFileSource(file('usr.erofs'));
  using usrTree = openFileSource(file('usr.verity'));
  using bootImage = openFileSource(file('uki.efi'));
  const plan = planHostDisk({
    name: 'small',
    version: '1',
    rootHash,
    usr,
    usrTree,
    signature,
    signer: usrSigner.certificate.fingerprint,
    uki: bootImage,
    sizes: definition.disk,
    sourceDateEpoch: time,
  });
  const [esp, ...others] = plan.partitions;
  if (esp === undefined) throw new Error('a plan without ESP');
  const files = [
    { path: removableMediaPath, body: bootImage },
    ...Array.from(change.espFiles ?? [], ([path, bytes]) => ({ path, body: sourceOf(bytes) })),
  ];
  const content = writeFat({ size: esp.size, volumeId: 1, mtime: time, hiddenSectors: 2048, files }).segments;
  const { written } = writeDisk(file('disk.raw'), { ...plan, partitions: [{ ...esp, content }, ...others] });
  const copied = new Map([
    [usr, 'usr.erofs'],
    [usrTree, 'usr.verity'],
    [bootImage, 'uki.efi'],
  ]);
  const pieces = describePieces(written, copied);
  await using threads = new FileThreads(1);
  const records = { packages: [], owners: new Map<string, string>() };
  await writeSbom(file('sbom.spdx.json'), { definition, records, image: file('usr.erofs'), time, threads });
  const lock = change.lock ?? smallLock;
  writeFileSync(file('osguard.lock'), encodeLock(lock));
  const build = await describeBuild({ definition: loaded, lock, keyring, components: [] });
  await writeManifest(folder, {
    build: change.build?.(build) ?? build,
    signer: await (change.releaseSigner ?? keyring).signer('release'),
    threads,
    sparse: new Map([['disk.raw', change.pieces?.(pieces) ?? pieces]]),
    hashed:
      change.usrDigest === undefined
        ? []
        : [{ path: file('usr.erofs'), size: usr.size, sha256: change.usrDigest }],
    facts: {
      name: 'small',
      version: '1',
      kernel: '7.3.0',
      architecture: 'amd64',
      created: '2023-11-14T22:13:20Z',
      rootHash,
      packages: { count: 0, sha256: '0'.repeat(64) },
      partitions: [],
      ...change.facts,
    },
  });
}

function packed(files: readonly (readonly [string, Uint8Array])[]): Uint8Array {
  const common = { uid: 0, gid: 0, mtime: time };
  const folders = new Set(files.flatMap(([path]) => parentsOf(path)));
  const entries: CpioEntry[] = [
    ...[...folders].sort().map((path): CpioEntry => ({ ...common, path, kind: 'directory', mode: 0o755 })),
    ...files.map(([path, bytes]): CpioEntry => ({
      ...common,
      path,
      kind: 'file',
      mode: 0o644,
      body: sourceOf(bytes),
    })),
  ];
  return zstdCompressSync(Buffer.concat(Array.from(writeCpio(entries), (chunk) => Uint8Array.from(chunk))));
}

function parentsOf(path: string): string[] {
  const parts = path.split('/').slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
}
