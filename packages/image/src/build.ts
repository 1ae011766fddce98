/** The build journey: one definition becomes a release folder. Every step is one call. */

import { mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EventSink } from '@osguard/events';
import { isAbort, step } from '@osguard/events';
import type { Keyring } from '@osguard/keys';
import { packageListDigest } from '@osguard/formats/release';
import { signIpePolicy, signPe, signRootHash } from '@osguard/keys';
import type { Definition } from './definition/index.ts';
import { loadDefinition } from './definition/index.ts';
import { writeDisk } from './disk/assemble.ts';
import { planHostDisk } from './disk/host-disk.ts';
import { convertDisk } from './disk/convert.ts';
import { ImageError } from './error.ts';
import { createOutputFolder } from './files/output-folder.ts';
import { FileThreads } from './files/file-threads.ts';
import { hashFiles } from './files/hash.ts';
import { openFileSource } from './files/source.ts';
import { writeWhole } from './files/write.ts';
import type { NodeProgram } from './host/index.ts';
import { commandLine, findKernel, installNode, ipePolicy, prepareHost, settleHost } from './host/index.ts';
import { assembleInitrd } from './initrd/assemble.ts';
import { applyDefinition } from './overlay/index.ts';
import { writeReferenceValues } from './measure/index.ts';
import type { Lock, PackageFiles } from './packages/index.ts';
import {
  encodeLock,
  fetchPackages,
  findMirrors,
  lockFits,
  parseLock,
  resolvePackages,
} from './packages/index.ts';
import type { PruneReport } from './prune/index.ts';
import { pruneTree } from './prune/index.ts';
import { trustedVolumeSigners } from './release/trust.ts';
import { writeManifest } from './release/manifest.ts';
import { describePieces } from './release/pieces.ts';
import { describeBuild } from './release/provenance.ts';
import type { ReleaseFolder } from './release/folder.ts';
import { openRelease } from './release/folder.ts';
import { writeSbom } from './release/sbom.ts';
import { fetchRootTree, readPackageRecords } from './root/index.ts';
import { compileSelinux } from './selinux/compile.ts';
import { assembleUki } from './uki/assemble.ts';
import { usrSalt, writeUsr } from './usr/write-usr.ts';

export interface BuildOptions {
  /** Path of the definition. */
  readonly definition: string;
  readonly keyring: Keyring;
  /** Where the release folder is to appear. */
  readonly output: string;
  /** A lock to build from; resolved anew when absent. */
  readonly lock?: string;
  readonly cacheFolder: string;
  /** Makes osguard-node; asked only when the definition needs it. */
  readonly nodeProgram?: () => Promise<NodeProgram>;
  readonly sink: EventSink;
  readonly signal?: AbortSignal;
}

export interface BuiltRelease {
  readonly release: ReleaseFolder;
  /** What the profile took out, and what misses it. */
  readonly pruned: PruneReport;
  readonly packages: number;
}

/** @throws DiagnosticsError for a wrong definition, ImageError, KeysError; whatever happens, no half-written release is left. */
export async function buildImage(options: BuildOptions): Promise<BuiltRelease> {
  const { keyring, cacheFolder, sink } = options;
  const signal = options.signal;
  const signers = await openSigners(keyring);
  const loaded = await loadDefinition(options.definition);
  const { definition, folder, warnings } = loaded;
  for (const { code, message } of warnings) sink({ type: 'warning', code, message });

  await using output = await createOutputFolder(options.output);
  const file = (name: string): string => join(output.path, name);
  try {
    const lock = await readOrResolveLock(definition, { ...options, folder });
    const time = lock.time;
    const packages = (): Promise<PackageFiles> =>
      fetchPackages(lock, {
        cacheFolder,
        mirrors: () => findMirrors(definition.distribution, { folder, signal }),
        sink,
        signal,
      });
    const installed = await fetchRootTree(lock, { cacheFolder, packages, sink, signal });
    const records = readPackageRecords(installed, lock);
    const selinux = await compileSelinux(installed, { cacheFolder, time, sink, signal });
    const kernel = findKernel(installed);

    const { host, pruned, components } = await step(
      sink,
      { id: 'host', title: 'shape the host' },
      async () => {
        const tree = installed.clone();
        const report = pruneTree(tree, { definition, records });
        const unneeded = prepareHost(tree, { definition, records, lock, time });
        const added = await installNode(tree, {
          definition,
          keyring,
          folder,
          program: options.nodeProgram,
          time,
        });
        await applyDefinition(tree, definition, { folder, time });
        settleHost(tree, { definition, selinux: selinux.tree, time });
        const removed = [...report.removed, ...unneeded];
        return { host: tree, pruned: { ...report, removed }, components: added };
      },
    );

    const usr = await step(sink, { id: 'usr', title: 'write and hash /usr' }, (report) => {
      const written = writeUsr(host, {
        imagePath: file('usr.erofs'),
        treePath: file('usr.verity'),
        labels: selinux.fileContexts,
        salt: usrSalt(definition),
        sourceDateEpoch: time,
        onProgress: (done, total) => report.progress({ done, total, unit: 'bytes' }),
        ...(signal !== undefined && { signal }),
      });
      report.detail(`${written.inodes} inodes, ${Math.round(written.size / 1e6)} MB`);
      return written;
    });
    const { rootHash } = usr;
    const usrSignature = await signRootHash(signers.usr, rootHash);
    await writeWhole(file('usr.roothash'), `${rootHash}\n`);
    await writeWhole(file('usr.roothash.p7s'), usrSignature);

    const policy = ipePolicy({ rootHash, time });
    const signedPolicy = await signIpePolicy(signers.boot, policy.text);
    mkdirSync(file('ipe'));
    await writeWhole(file(join('ipe', `${policy.name}.p7b`)), signedPolicy);

    const line = commandLine(definition, { rootHash, kernelRelease: kernel.release });
    const trust = await trustedVolumeSigners(definition, { keyring, folder });
    const initrd = await step(sink, { id: 'initrd', title: 'build the initrd' }, (report) => {
      const bytes = assembleInitrd(installed, {
        commandLine: line,
        kernelRelease: kernel.release,
        trust,
        usrSignature,
        ipePolicies: new Map([[policy.name, signedPolicy]]),
        varPartition: { minimum: definition.disk.var, grow: definition.disk.growVar },
        definition,
        sourceDateEpoch: time,
        cacheFolder,
      });
      report.detail(`${(bytes.length / 1e6).toFixed(1)} MB`);
      return bytes;
    });
    await step(sink, { id: 'uki', title: 'build and sign the UKI' }, async (report) => {
      const unsigned = assembleUki(installed, { kernel, initrd, commandLine: line, definition });
      const signed = await signPe(signers.boot, unsigned);
      await writeWhole(file('uki.efi'), signed.read(0, signed.size));
      report.detail(`${(signed.size / 1e6).toFixed(1)} MB`);
    });

    await step(sink, { id: 'measure', title: 'predict what the host measures' }, () =>
      writeReferenceValues(output.path, {
        name: definition.name,
        version: definition.version,
        kernel: kernel.release,
        bootCertificate: signers.boot.certificate,
        keyring,
      }),
    );

    const disk = await step(sink, { id: 'disk', title: 'assemble the disk' }, async () => {
      using image = openFileSource(file('usr.erofs'));
      using tree = openFileSource(file('usr.verity'));
      using uki = openFileSource(file('uki.efi'));
      const plan = planHostDisk({
        name: definition.name,
        version: definition.version,
        rootHash,
        usr: image,
        usrTree: tree,
        signature: usrSignature,
        signer: signers.usr.certificate.fingerprint,
        uki,
        sizes: definition.disk,
        sourceDateEpoch: time,
      });
      const layout = writeDisk(file('disk.raw'), plan);
      const copied = new Map([
        [image, 'usr.erofs'],
        [tree, 'usr.verity'],
        [uki, 'uki.efi'],
      ]);
      await convertDisk(file('disk.raw'), {
        formats: definition.formats,
        rootHash,
        time,
        ...(signal && { signal }),
      });
      const partitions = plan.partitions.map((partition, index) => ({
        label: partition.name,
        type: partition.type,
        uuid: partition.guid,
        offset: layout.extents[index]?.offset ?? 0,
        size: layout.extents[index]?.size ?? 0,
      }));
      return { partitions, pieces: describePieces(layout.written, copied) };
    });

    await step(sink, { id: 'release', title: 'write the bill of materials and the manifest' }, async () => {
      await writeWhole(file('osguard.lock'), encodeLock(lock));
      await using threads = new FileThreads();
      const large = hashFiles(['usr.erofs', 'uki.efi'].map(file), threads);
      large.catch(() => undefined);
      const image = file('usr.erofs');
      await writeSbom(file('sbom.spdx.json'), { definition, records, components, image, time, threads });
      const { architecture } = definition;
      await writeManifest(output.path, {
        build: await describeBuild({ definition: loaded, lock, keyring, components }),
        signer: signers.release,
        threads,
        hashed: await large,
        sparse: new Map([['disk.raw', disk.pieces]]),
        facts: {
          name: definition.name,
          version: definition.version,
          kernel: kernel.release,
          architecture,
          created: new Date(time * 1000).toISOString().replace(/\.\d+Z$/, 'Z'),
          rootHash,
          packages: { count: records.packages.length, sha256: packageListDigest(records.packages) },
          partitions: disk.partitions,
        },
      });
    });
    await output.commit();
    return { release: await openRelease(options.output), pruned, packages: records.packages.length };
  } catch (error) {
    if (isAbort(error))
      throw new ImageError('cancelled', 'cancelled; nothing was left behind', { cause: error });
    throw error;
  }
}

/** All signers before the first minute of work, so that a missing key is found at once. */
async function openSigners(
  keyring: Keyring,
): Promise<Record<'boot' | 'usr' | 'release', Awaited<ReturnType<Keyring['signer']>>>> {
  const [boot, usr, release] = [
    await keyring.signer('boot'),
    await keyring.signer('usr'),
    await keyring.signer('release'),
  ];
  return { boot, usr, release };
}

async function readOrResolveLock(
  definition: Definition,
  { lock, cacheFolder, folder, sink, signal }: BuildOptions & { readonly folder: string },
): Promise<Lock> {
  if (lock === undefined) {
    return step(sink, { id: 'resolve', title: 'choose the packages' }, async (report) => {
      const resolved = await resolvePackages(definition, { cacheFolder, folder, sink, signal });
      report.detail(`${resolved.packages.length} packages`);
      return resolved;
    });
  }
  const given = parseLock(await readFile(lock, 'utf8'));
  if (!lockFits(given, definition)) {
    throw new ImageError('definition', `${lock} was made for other packages than the definition asks for`, {
      hint: 'build without --lock to choose packages anew, and keep the osguard.lock of that release',
    });
  }
  return given;
}
