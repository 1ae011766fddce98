/** The unified kernel image (UAPI.5) and what its initrd carries. */

import { createHash } from 'node:crypto';
import type { ByteSource } from '@osguard/formats/bytes';
import { decodePem, parseCertificate } from '@osguard/formats/x509';
import type { Certificate } from '@osguard/formats/x509';
import { parsePe, readUkiSection, sectionBody } from '@osguard/formats/pe';
import type { PeImage } from '@osguard/formats/pe';
import type { InitrdFiles } from '../verify/initrd-files.ts';
import { readInitrd } from '../verify/initrd-files.ts';
import type { Findings } from './findings.ts';
import type { NamedSource } from './open.ts';
import type { InitrdReport, UkiReport } from './report.ts';
import { describePeSigners } from './signers.ts';
import { splitCommandLine } from './words.ts';

/** Bytes of a text section or certificate that are looked at; the kernel takes command lines of 2 KiB. */
const largestText = 256 * 1024;
const largestCertificate = 64 * 1024;
const mostCertificates = 64;
const chunk = 1024 * 1024;

export interface BootImage {
  readonly report: UkiReport;
  readonly initrd: { readonly files: InitrdFiles; readonly report: InitrdReport } | undefined;
  /** Certificates in the UKI's signatures and in the initrd, to name signers by. */
  readonly known: readonly Certificate[];
}

export function describeBootImage({ where, source }: NamedSource, findings: Findings): BootImage | undefined {
  const image = findings.attempt(where, () => parsePe(source));
  if (image === undefined) return undefined;
  const { digest, signers, certificates } = describePeSigners(image, { where, findings });
  const text = (name: string): string | undefined =>
    findings.attempt(`${where} ${name}`, () => readText(image, name));
  const sections = image.sections.flatMap((section) => {
    const body = findings.attempt(`${where} ${section.name}`, () => sectionBody(image, section));
    if (body === undefined) return [];
    const sha256 = findings.attempt(`${where} ${section.name}`, () => sha256Of(body));
    return [{ name: section.name, size: body.size, sha256: sha256 ?? '' }];
  });
  const commandLine = text('.cmdline');
  const kernel = text('.uname')?.trim();
  const title = /^PRETTY_NAME=(.*)$/m.exec(text('.osrel') ?? '')?.[1]?.replaceAll(/^["']|["']$/g, '');
  const initrd = describeInitrd(image, { where, findings });
  return {
    report: {
      where,
      size: source.size,
      machine: machines.get(image.machine) ?? `0x${image.machine.toString(16)}`,
      ...(digest !== undefined && { digest }),
      sections,
      signers,
      ...(kernel !== undefined && { kernel }),
      ...(title !== undefined && { title }),
      ...(commandLine !== undefined && { commandLine: splitCommandLine(commandLine) }),
    },
    initrd,
    known: [...certificates, ...(initrd?.certificates ?? [])],
  };
}

const machines: ReadonlyMap<number, string> = new Map([
  [0x8664, 'x86-64'],
  [0xaa64, 'AArch64'],
  [0x14c, 'i386'],
]);

function readText(image: PeImage, name: string): string | undefined {
  const body = readUkiSection(image, name);
  if (body === undefined) return undefined;
  return Buffer.from(body.read(0, Math.min(body.size, largestText)))
    .toString('utf8')
    .replace(/\0+$/, '');
}

function sha256Of(body: ByteSource): string {
  const hash = createHash('sha256');
  for (let at = 0; at < body.size; at += chunk) hash.update(body.read(at, Math.min(chunk, body.size - at)));
  return hash.digest('hex');
}

interface DescribedInitrd {
  readonly files: InitrdFiles;
  readonly report: InitrdReport;
  readonly certificates: readonly Certificate[];
}

/** Where osguard's initrd and systemd look for certificates that may sign volumes. */
const certificatePaths = /^(?:etc\/verity\/trust\/[^/]+\.der|(?:etc|run|usr\/lib)\/verity\.d\/[^/]+\.crt)$/;

function describeInitrd(
  image: PeImage,
  { where, findings }: { readonly where: string; readonly findings: Findings },
): DescribedInitrd | undefined {
  const place = `${where} .initrd`;
  const section = findings.attempt(place, () => readUkiSection(image, '.initrd'));
  if (section === undefined) return undefined;
  const files = findings.attempt(place, () => readInitrd(section));
  if (files === undefined) return undefined;
  const certificates: Certificate[] = [];
  const volumeSigners: InitrdReport['volumeSigners'][number][] = [];
  let kernelModules = 0;
  for (const [path, entry] of files.entries) {
    if (/\.ko(?:\.(?:xz|zst|gz))?$/.test(path) && entry.kind === 'file') kernelModules += 1;
    if (!certificatePaths.test(path) || certificates.length >= mostCertificates) continue;
    findings.attempt(`initrd /${path}`, () => {
      const bytes = Uint8Array.from(entry.body.read(0, Math.min(entry.body.size, largestCertificate)));
      const ders = path.endsWith('.der')
        ? [bytes]
        : decodePem('CERTIFICATE', Buffer.from(bytes).toString('latin1'));
      for (const der of ders.slice(0, mostCertificates)) {
        const certificate = parseCertificate(der);
        certificates.push(certificate);
        const { subjectText: subject, fingerprint } = certificate;
        volumeSigners.push({ path, subject, fingerprint });
      }
    });
  }
  const { entries, unpackedSize } = files;
  return {
    files,
    certificates,
    report: { size: section.size, unpackedSize, entries: entries.size, kernelModules, volumeSigners },
  };
}
