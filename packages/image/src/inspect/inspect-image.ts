/** What is in an image: the chain from the disk to the files of /usr, read without trust and without judging it. */

import { readFileSync, statSync } from 'node:fs';
import { FormatError } from '@osguard/formats/bytes';
import { parseDsse } from '@osguard/formats/dsse';
import { imageBuilderId, imageBuildType, parseProvenance } from '@osguard/formats/release';
import { parseSpdx } from '@osguard/formats/spdx';
import { isDebianPackage, provenanceName } from '../release/provenance.ts';
import type { BootImage } from './boot-image.ts';
import { describeBootImage } from './boot-image.ts';
import { Findings } from './findings.ts';
import type { OpenedImage } from './open.ts';
import { openImage } from './open.ts';
import { describeDisk } from './partitions.ts';
import { describeIpe, describeSelinux, describeVerity } from './protections.ts';
import type { ImageReport, PackageReport, ProvenanceReport, ReleaseReport } from './report.ts';
import type { OpenedUsr } from './usr.ts';
import { describeUsr, openUsr } from './usr.ts';
import { describeWeaker } from './weaker.ts';
import { lastValue } from './words.ts';

/** Bytes; 2,000 files make 1.5 MB. */
const largestSbom = 64 * 1024 * 1024;
/** Bytes; 150 packages make 80 kB. */
const largestProvenance = 64 * 1024 * 1024;

/**
 * Reads as much of `target` as can be read; the rest becomes findings.
 * @param target release folder, raw disk, boot image or EROFS image
 * @throws ImageError (`not-an-image`); system errors pass
 */
export async function inspectImage(target: string): Promise<ImageReport> {
  const findings = new Findings();
  using opened = await openImage(target, findings);
  return inspectOpened(opened, findings).report;
}

export interface Inspected {
  readonly report: ImageReport;
  readonly boot: BootImage | undefined;
  readonly usr: OpenedUsr | undefined;
}

/** The report with the opened parts it was made from. */
export function inspectOpened(opened: OpenedImage, findings: Findings): Inspected {
  const { disk, esp } = opened;
  const boot = opened.boot && describeBootImage(opened.boot, findings);
  const words = boot?.report.commandLine ?? [];
  const rootHash = (lastValue(words, 'usrhash') ?? lastValue(words, 'roothash'))?.toLowerCase();
  const usr = openUsr(opened, { rootHash, findings });
  const partitions = disk?.partitions ?? [];
  const input = { rootHash, initrd: boot?.initrd?.files, partitions, known: boot?.known ?? [], findings };
  const verity = describeVerity(input);
  const selinux = usr && describeSelinux(usr, findings);
  const packages = describePackages(opened, findings);
  const release = describeRelease(opened, findings);
  if (release !== undefined && rootHash !== undefined && opened.release?.rootHash !== rootHash) {
    findings.add('release.json', `names the root hash ${opened.release?.rootHash}, the command line another`);
  }
  const facts = {
    target: opened.target,
    kind: opened.kind,
    ...(release !== undefined && { release }),
    ...(disk !== undefined && {
      disk: describeDisk(disk.source, { table: disk.table, partitions, findings }),
    }),
    ...(esp !== undefined && {
      esp: {
        partition: esp.partition,
        label: esp.volume.label,
        type: esp.volume.geometry.type,
        files: esp.volume.nodes
          .filter(({ kind }) => kind === 'file')
          .map(({ path, size }) => ({ path, size })),
      },
    }),
    ...(boot !== undefined && { uki: boot.report }),
    ...(boot?.initrd !== undefined && { initrd: boot.initrd.report }),
    ...(verity !== undefined && { verity }),
    ...(usr !== undefined && { usr: describeUsr(usr, findings) }),
    ...(selinux !== undefined && { selinux }),
    ipe: describeIpe(input),
    ...(packages !== undefined && { packages }),
  };
  for (const { where, message } of disk?.table.findings ?? []) findings.add(`GPT ${where}`, message);
  return { report: { ...facts, weaker: describeWeaker(facts), findings: findings.list }, boot, usr };
}

function describeRelease(opened: OpenedImage, findings: Findings): ReleaseReport | undefined {
  const { release } = opened;
  if (release === undefined) return undefined;
  const { name, version, kernel, architecture, created, files } = release.manifest;
  const keyIds = release.envelope.signatures.map(({ keyid }) => keyid ?? '');
  const provenance = describeProvenance(opened, findings);
  return {
    name,
    version,
    kernel,
    architecture,
    created,
    keyIds,
    files,
    ...(provenance !== undefined && { provenance }),
  };
}

function describeProvenance(opened: OpenedImage, findings: Findings): ProvenanceReport | undefined {
  const path = opened.file(provenanceName);
  if (path === undefined) return undefined;
  return findings.attempt(provenanceName, () => {
    const { size } = statSync(path);
    if (size > largestProvenance) throw new FormatError('too-large', `a provenance of ${size} bytes`);
    const { payload, signatures } = parseDsse(readFileSync(path));
    const { dependencies, osguard } = parseProvenance(payload);
    const packages = dependencies.filter(isDebianPackage).length;
    return {
      buildType: imageBuildType,
      builder: imageBuilderId,
      osguard,
      definition: dependencies.find(({ name }) => name === 'definition')?.digest?.sha256 ?? '',
      packages,
      others: dependencies.length - packages,
      keyIds: signatures.map(({ keyid }) => keyid ?? ''),
    };
  });
}

function describePackages(opened: OpenedImage, findings: Findings): readonly PackageReport[] | undefined {
  const path = opened.file('sbom.spdx.json');
  if (path === undefined) return undefined;
  return findings.attempt('sbom.spdx.json', () => {
    const { size } = statSync(path);
    if (size > largestSbom) throw new FormatError('too-large', `an SBOM of ${size} bytes`);
    return parseSpdx(readFileSync(path))
      .packages.filter(({ primaryPackagePurpose }) => primaryPackagePurpose !== 'OPERATING_SYSTEM')
      .map(({ name, versionInfo, licenseDeclared }) => ({
        name,
        version: versionInfo ?? '',
        license: licenseDeclared,
      }))
      .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.version < b.version ? -1 : 1));
  });
}
