/**
 * The bill of materials of an image as SPDX 2.3: the image, the Debian packages in it, and the files of /usr with
 * their digests. The same input gives the same bytes.
 */

import { createHash } from 'node:crypto';
import { FormatError } from '../bytes/index.ts';
import type { DebianPackage } from '../deb822/index.ts';
import { declaredLicense } from './copyright.ts';
import type {
  SpdxDocument,
  SpdxExtractedLicense,
  SpdxFile,
  SpdxPackage,
  SpdxRelationship,
} from './document.ts';
import { encodePurl } from './purl.ts';
import { checkSpdx, isLicense } from './validate.ts';

export interface SbomPackage extends Pick<DebianPackage, 'name' | 'version' | 'architecture' | 'source'> {
  readonly homepage?: string;
  readonly summary?: string;
  /** Of the .deb file, lower-case hex. */
  readonly sha256?: string;
  /** The package's /usr/share/doc/…/copyright. */
  readonly copyright?: Uint8Array;
}

export interface SbomFile {
  /** Absolute inside the image, for example `/usr/bin/true`. */
  readonly path: string;
  /** Lower-case hex. */
  readonly sha1: string;
  readonly sha256: string;
}

/** What is in the image and came from no Debian package. */
export interface SbomComponent {
  /** Of its package URL. */
  readonly type: 'npm' | 'generic';
  /** With its scope: `@scope/name`. */
  readonly name: string;
  readonly version: string;
  /** As its author declares it; what is no SPDX expression is left out. */
  readonly license?: string;
}

export interface SbomInput {
  readonly name: string;
  readonly version: string;
  /** SOURCE_DATE_EPOCH. Seconds since 1970. */
  readonly created: number;
  /** For example `osguard-0.1.0`. */
  readonly tool: string;
  /** Absolute URI the document's own is made under, without its last slash. */
  readonly namespace: string;
  readonly distribution: { readonly id: string; readonly version: string };
  readonly packages: readonly SbomPackage[];
  readonly components?: readonly SbomComponent[];
  /** Regular files only: links and folders have no content to digest. */
  readonly files: readonly SbomFile[];
}

const none = 'NOASSERTION';
const imageId = 'SPDXRef-Image';

/** @throws FormatError (`not-encodable`) when the input does not make a valid document. */
export function buildSpdx(input: SbomInput): SpdxDocument {
  const packages = [...input.packages].sort((a, b) => order(keyOf(a), keyOf(b)));
  const files = [...input.files].sort((a, b) => order(a.path, b.path)).map(fileEntry);
  const references = new Map<string, string>();
  const entries = packages.map((one) => packageEntry(one, { input, references }));
  const components = (input.components ?? []).map(componentEntry).sort((a, b) => order(a.SPDXID, b.SPDXID));
  const relationships: SpdxRelationship[] = [
    { spdxElementId: 'SPDXRef-DOCUMENT', relationshipType: 'DESCRIBES', relatedSpdxElement: imageId },
  ];
  for (const { SPDXID } of [...entries, ...components, ...files]) {
    relationships.push({ spdxElementId: imageId, relationshipType: 'CONTAINS', relatedSpdxElement: SPDXID });
  }
  const extracted = extractedLicenses(references);
  const body = {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name: `${input.name}-${input.version}`,
    creationInfo: {
      created: new Date(input.created * 1000).toISOString().replace(/\.\d+Z$/, 'Z'),
      creators: [`Tool: ${input.tool}`],
    },
    packages: [imageEntry(input, files), ...entries, ...components],
    files,
    relationships,
    ...(extracted.length > 0 && { hasExtractedLicensingInfos: extracted }),
  } as const;
  // The namespace has to be unique to the content, and the same for the same content.
  const digest = createHash('sha256').update(JSON.stringify(body), 'utf8').digest('hex');
  const documentNamespace = `${input.namespace}/${encodeURIComponent(body.name)}-${digest.slice(0, 32)}`;
  const document: SpdxDocument = { ...body, documentNamespace };
  const [problem] = checkSpdx(document);
  if (problem !== undefined) throw new FormatError('not-encodable', `SPDX document: ${problem}`);
  return document;
}

/** JSON, one blank of indentation, one newline at the end. */
export function encodeSpdx(document: SpdxDocument): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(`${JSON.stringify(document, undefined, 1)}\n`, 'utf8'));
}

function keyOf({ name, architecture, version }: SbomPackage): string {
  return `${name} ${architecture} ${version}`;
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function imageEntry({ name, version }: SbomInput, files: readonly SpdxFile[]): SpdxPackage {
  return {
    SPDXID: imageId,
    name,
    versionInfo: version,
    downloadLocation: none,
    filesAnalyzed: true,
    packageVerificationCode: { packageVerificationCodeValue: verificationCode(files) },
    licenseInfoFromFiles: [none],
    licenseConcluded: none,
    licenseDeclared: none,
    copyrightText: none,
    primaryPackagePurpose: 'OPERATING_SYSTEM',
  };
}

/** Clause 7.9: SHA1 over the sorted SHA1 digests of the files. */
function verificationCode(files: readonly SpdxFile[]): string {
  const digests = files.map(({ checksums }) => checksums[0]?.checksumValue ?? '').sort();
  return createHash('sha1').update(digests.join(''), 'latin1').digest('hex');
}

function packageEntry(
  one: SbomPackage,
  { input, references }: { input: SbomInput; references: Map<string, string> },
): SpdxPackage {
  const declared = one.copyright === undefined ? undefined : declaredLicense(one.copyright);
  for (const [reference, name] of declared?.references ?? []) references.set(reference, name);
  const { id, version } = input.distribution;
  const qualifiers = { arch: one.architecture, distro: `${id}-${version}` };
  const purl = encodePurl({ type: 'deb', namespace: id, name: one.name, version: one.version, qualifiers });
  const sourceInfo = `built from the source package ${one.source.name} ${one.source.version}`;
  return {
    SPDXID: `SPDXRef-Package-${idPart(one.name)}-${idPart(one.architecture)}-${idPart(one.version)}`,
    name: one.name,
    versionInfo: one.version,
    supplier: `Organization: ${id.charAt(0).toUpperCase()}${id.slice(1)}`,
    downloadLocation: none,
    filesAnalyzed: false,
    ...(one.sha256 !== undefined && { checksums: [{ algorithm: 'SHA256', checksumValue: one.sha256 }] }),
    ...(one.homepage !== undefined && isUrl(one.homepage) && { homepage: one.homepage }),
    sourceInfo,
    licenseConcluded: none,
    licenseDeclared: declared?.expression ?? none,
    copyrightText: none,
    ...(one.summary !== undefined && one.summary !== '' && { summary: one.summary }),
    externalRefs: [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: purl }],
  };
}

function componentEntry({ type, name, version, license }: SbomComponent): SpdxPackage {
  const [plain = '', scope] = name.split('/').reverse();
  const namespace = scope === undefined ? {} : { namespace: scope };
  const purl = encodePurl({ type, ...namespace, name: plain, version });
  return {
    SPDXID: `SPDXRef-Component-${type}-${idPart(name)}-${idPart(version)}`,
    name,
    versionInfo: version,
    downloadLocation: none,
    filesAnalyzed: false,
    licenseConcluded: none,
    licenseDeclared:
      license !== undefined && isLicense(license) && !license.includes('LicenseRef-') ? license : none,
    copyrightText: none,
    externalRefs: [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: purl }],
  };
}

function fileEntry({ path, sha1, sha256 }: SbomFile): SpdxFile {
  return {
    SPDXID: `SPDXRef-File-${createHash('sha256').update(path, 'utf8').digest('hex').slice(0, 32)}`,
    fileName: `.${path}`,
    checksums: [
      { algorithm: 'SHA1', checksumValue: sha1 },
      { algorithm: 'SHA256', checksumValue: sha256 },
    ],
    licenseConcluded: none,
    licenseInfoInFiles: [none],
    copyrightText: none,
  };
}

function extractedLicenses(references: ReadonlyMap<string, string>): SpdxExtractedLicense[] {
  const sorted = [...references].sort(([a], [b]) => order(a, b));
  return sorted.map(([licenseId, name]) => ({
    licenseId,
    name,
    // The field is mandatory; what the package's own file says is not repeated in every bill of materials.
    extractedText: `The text is in the copyright files of the Debian packages that declare "${name}".`,
  }));
}

/** Letters, digits and dashes stay; every other character becomes its number between dots, so that no two names meet. */
function idPart(text: string): string {
  return text.replaceAll(/[^0-9A-Za-z-]/gu, (char) => `.${(char.codePointAt(0) ?? 0).toString(16)}.`);
}

function isUrl(text: string): boolean {
  return /^https?:\/\/[^\s<>"]+$/.test(text) && URL.canParse(text);
}
