/**
 * Is this a valid SPDX 2.3 document? Cardinalities and forms of clauses 6 to 11 for what osguard writes, and what no
 * schema can say: unique identifiers, references that lead somewhere, licence references that are explained.
 */

import { z } from 'zod';
import { FormatError } from '../bytes/index.ts';
import type { SpdxDocument } from './document.ts';

const elementId = z.string().regex(/^SPDXRef-[a-zA-Z0-9.-]+$/, 'is no SPDXRef-');
const line = z.string().min(1);
const license = z.string().refine(isLicense, 'is no licence expression');
const uri = z.string().regex(/^[a-z][a-z0-9+.-]*:[^#\s]+$/i, 'is no absolute URI without #');
const link = z.string().regex(/^https?:\/\/\S+$/, 'is no web address');
const digits: Readonly<Record<string, number>> = { SHA1: 40, SHA256: 64, SHA512: 128 };
const checksum = z
  .object({ algorithm: z.enum(['SHA1', 'SHA256', 'SHA512']), checksumValue: z.string().regex(/^[0-9a-f]+$/) })
  .refine(
    ({ algorithm, checksumValue }) => digits[algorithm] === checksumValue.length,
    'has the wrong length',
  );
const agent = z
  .string()
  .regex(/^(?:(?:Person|Organization|Tool): .+|NOASSERTION)$/, 'is no creator or supplier');

const spdxPackage = z
  .object({
    SPDXID: elementId,
    name: line,
    versionInfo: line.optional(),
    supplier: agent.optional(),
    downloadLocation: z.union([z.literal(['NONE', 'NOASSERTION']), uri]),
    filesAnalyzed: z.boolean(),
    packageVerificationCode: z
      .object({ packageVerificationCodeValue: z.string().regex(/^[0-9a-f]{40}$/) })
      .optional(),
    licenseInfoFromFiles: z.array(license).min(1).optional(),
    checksums: z.array(checksum).min(1).optional(),
    homepage: z.union([z.literal(['NONE', 'NOASSERTION']), link]).optional(),
    sourceInfo: line.optional(),
    licenseConcluded: license,
    licenseDeclared: license,
    copyrightText: line,
    summary: line.optional(),
    primaryPackagePurpose: z
      .enum(['APPLICATION', 'LIBRARY', 'OPERATING_SYSTEM', 'CONTAINER', 'OTHER'])
      .optional(),
    externalRefs: z
      .array(
        z.object({
          referenceCategory: z.literal('PACKAGE-MANAGER'),
          referenceType: z.literal('purl'),
          referenceLocator: z.string().regex(/^pkg:[a-z.+-]+\/\S+$/, 'is no package URL'),
        }),
      )
      .optional(),
  })
  .refine(
    (one) => one.filesAnalyzed === (one.packageVerificationCode !== undefined),
    'filesAnalyzed and packageVerificationCode go together',
  );

const spdxFile = z.object({
  SPDXID: elementId,
  fileName: z.string().regex(/^\.\/./, 'does not start with ./'),
  checksums: z
    .array(checksum)
    .refine((all) => all.some(({ algorithm }) => algorithm === 'SHA1'), 'lack SHA1'),
  licenseConcluded: license,
  licenseInfoInFiles: z.array(license).min(1),
  copyrightText: line,
});

const schema = z.object({
  spdxVersion: z.literal('SPDX-2.3'),
  dataLicense: z.literal('CC0-1.0'),
  SPDXID: z.literal('SPDXRef-DOCUMENT'),
  name: line,
  documentNamespace: uri,
  creationInfo: z.object({
    created: z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, 'is no time like 2026-01-31T12:00:00Z'),
    creators: z.array(agent).min(1),
  }),
  packages: z.array(spdxPackage),
  files: z.array(spdxFile),
  relationships: z.array(
    z.object({
      spdxElementId: elementId,
      relationshipType: z.enum(['DESCRIBES', 'CONTAINS', 'GENERATED_FROM', 'OTHER']),
      relatedSpdxElement: elementId,
    }),
  ),
  hasExtractedLicensingInfos: z
    .array(
      z.object({
        licenseId: z.string().regex(/^LicenseRef-[a-zA-Z0-9.-]+$/, 'is no LicenseRef-'),
        name: line.optional(),
        extractedText: line,
      }),
    )
    .optional(),
});

/** Bytes. 30,000 files make about 20 MB. */
const maxSize = 512 * 1024 * 1024;
const maxProblems = 20;

/** What is wrong, up to 20 findings; an empty list means valid. */
export function checkSpdx(value: unknown): readonly string[] {
  return read(value).problems;
}

function read(value: unknown): { problems: readonly string[]; data?: z.infer<typeof schema> } {
  const { success, data, error } = schema.safeParse(value);
  if (success) return { problems: [...crossProblems(data)].slice(0, maxProblems), data };
  const issues = error.issues.slice(0, maxProblems);
  return { problems: issues.map(({ path, message }) => `${path.join('.') || 'document'}: ${message}`) };
}

/** Members osguard does not know are dropped. @throws FormatError unless it is a valid SPDX 2.3 document in JSON. */
export function parseSpdx(bytes: Uint8Array): SpdxDocument {
  if (bytes.length > maxSize) throw new FormatError('too-large', `an SPDX document of ${bytes.length} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new FormatError('not-this-format', 'SPDX document: no JSON', { cause });
  }
  const { problems, data } = read(value);
  if (problems.length > 0 || data === undefined) {
    throw new FormatError('malformed', `SPDX document: ${problems.join('; ')}`);
  }
  // The schema says "absent or undefined" where the type says "absent"; JSON knows only the first.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return data as SpdxDocument;
}

function* crossProblems(document: z.infer<typeof schema>): Generator<string> {
  const ids = new Set<string>(['SPDXRef-DOCUMENT']);
  for (const { SPDXID } of [...document.packages, ...document.files]) {
    if (ids.has(SPDXID)) yield `${SPDXID} is used twice`;
    ids.add(SPDXID);
  }
  let described = false;
  for (const { spdxElementId, relationshipType, relatedSpdxElement } of document.relationships) {
    for (const id of [spdxElementId, relatedSpdxElement]) {
      if (!ids.has(id)) yield `a relationship names ${id}, which is not in the document`;
    }
    described ||= spdxElementId === 'SPDXRef-DOCUMENT' && relationshipType === 'DESCRIBES';
  }
  if (!described) yield 'nothing is described: a relationship DESCRIBES is missing';
  const names = new Set<string>();
  for (const { fileName } of document.files) {
    if (names.has(fileName)) yield `${fileName} is listed twice`;
    names.add(fileName);
  }
  const explained = new Set((document.hasExtractedLicensingInfos ?? []).map(({ licenseId }) => licenseId));
  const used = new Set(
    document.packages.flatMap(({ licenseDeclared }) => licenseDeclared.match(/LicenseRef-[\w.-]+/g) ?? []),
  );
  for (const id of used) if (!explained.has(id)) yield `${id} is not explained in hasExtractedLicensingInfos`;
}

/** NONE, NOASSERTION or an expression (annex D): identifiers joined by AND, OR and WITH, with balanced parentheses. */
export function isLicense(text: string): boolean {
  if (text === 'NONE' || text === 'NOASSERTION') return true;
  const tokens = text.match(/[()]|[^\s()]+/g) ?? [];
  let depth = 0;
  let wantsName = true;
  for (const token of tokens) {
    if (token === '(') {
      if (!wantsName) return false;
      depth += 1;
    } else if (token === ')') {
      depth -= 1;
      if (wantsName || depth < 0) return false;
    } else if (token === 'AND' || token === 'OR' || token === 'WITH') {
      if (wantsName) return false;
      wantsName = true;
    } else {
      if (!wantsName || !/^[A-Za-z0-9][A-Za-z0-9.+-]*$/.test(token)) return false;
      wantsName = false;
    }
  }
  return depth === 0 && !wantsName;
}
