/**
 * provenance.json: what a release was made of, and by what. SLSA provenance v1 (slsa.dev, "Build: Provenance") as the
 * predicate of an in-toto statement v1, in the one form that osguard writes; the build type is explained in
 * docs/release.md. The role `release` signs it as a DSSE envelope.
 */

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { FormatError } from '../bytes/index.ts';
import { statementType } from '../dsse/index.ts';
import type { JsonValue } from '../json/index.ts';
import { canonicalJson, parseCanonicalJson } from '../json/index.ts';
import type { ReleaseFile } from './manifest.ts';

export const provenancePredicateType = 'https://slsa.dev/provenance/v1';
/** Names of ours; under .invalid (RFC 2606) nobody can own them, and nothing has to be there. */
export const imageBuildType = 'https://osguard.invalid/build/image/v1';
export const imageBuilderId = 'https://osguard.invalid/builder/image-build/v1';

export interface ReleaseProvenance {
  /** Every file of the release but the provenance itself and release.json, which names it; sorted by name. */
  readonly subjects: readonly ProvenanceSubject[];
  /** The definition with every default filled in. */
  readonly definition: Readonly<Record<string, JsonValue>>;
  /** SOURCE_DATE_EPOCH of the build, from the lock. Seconds since 1970. */
  readonly time: number;
  readonly dependencies: readonly ProvenanceDependency[];
  /** Version of osguard. */
  readonly osguard: string;
}

export interface ProvenanceSubject {
  /** Path inside the release folder. */
  readonly name: string;
  /** Lower-case hex. */
  readonly digest: { readonly sha256: string } | { readonly sha256OfPieces: string };
}

/** An in-toto ResourceDescriptor with at least one of uri and digest. */
export interface ProvenanceDependency {
  readonly name?: string;
  /** A package URL. */
  readonly uri?: string;
  /** Lower-case hex. */
  readonly digest?: { readonly sha256: string };
}

const hex = z.string().regex(/^[0-9a-f]{64}$/, 'is no SHA-256 in lower-case hex');
const sha256 = z.strictObject({ sha256: hex });
const text = z.string().min(1).max(4096);
const subject = z.strictObject({
  name: text,
  digest: z.union([sha256, z.strictObject({ sha256OfPieces: hex })]),
});
const purl = text.regex(/^pkg:[a-z]+\/\S+$/, 'is no package URL');
const dependency = z
  .strictObject({ name: z.exactOptional(text), uri: z.exactOptional(purl), digest: z.exactOptional(sha256) })
  .refine(({ uri, digest }) => uri !== undefined || digest !== undefined, 'has neither uri nor digest');

const schema = z.strictObject({
  _type: z.literal(statementType),
  subject: z.array(subject).min(1).max(10_000).refine(isSorted, 'are not sorted by name'),
  predicateType: z.literal(provenancePredicateType),
  predicate: z.strictObject({
    buildDefinition: z.strictObject({
      buildType: z.literal(imageBuildType),
      externalParameters: z.strictObject({ definition: z.record(z.string(), z.json()) }),
      internalParameters: z.strictObject({ sourceDateEpoch: z.int().nonnegative() }),
      resolvedDependencies: z.array(dependency).max(50_000),
    }),
    runDetails: z.strictObject({
      builder: z.strictObject({
        id: z.literal(imageBuilderId),
        version: z.strictObject({ osguard: z.string().regex(/^[0-9A-Za-z.+-]{1,64}$/, 'is no version') }),
      }),
    }),
  }),
});

/** Canonical JSON of the whole statement. @throws FormatError (`not-encodable`) when a field is not what it has to be. */
export function encodeProvenance(provenance: ReleaseProvenance): Uint8Array<ArrayBuffer> {
  const { subjects, definition, time, dependencies, osguard } = provenance;
  const statement = {
    _type: statementType,
    subject: subjects,
    predicateType: provenancePredicateType,
    predicate: {
      buildDefinition: {
        buildType: imageBuildType,
        externalParameters: { definition },
        internalParameters: { sourceDateEpoch: time },
        resolvedDependencies: dependencies,
      },
      runDetails: { builder: { id: imageBuilderId, version: { osguard } } },
    },
  };
  check(statement, 'not-encodable');
  return new Uint8Array(Buffer.from(canonicalJson(statement), 'utf8'));
}

/** @throws FormatError unless `bytes` is what encodeProvenance writes; unknown members are refused. */
export function parseProvenance(bytes: Uint8Array): ReleaseProvenance {
  return check(parseCanonicalJson(bytes, 'provenance.json'), 'malformed');
}

/** What a manifest says of files, as subjects. A sparse file has a digest of its description: see {@link piecesDigest}. */
export function provenanceSubjects(files: readonly ReleaseFile[]): readonly ProvenanceSubject[] {
  return files.map((file) => ({
    name: file.path,
    digest: 'sha256' in file ? { sha256: file.sha256 } : { sha256OfPieces: piecesDigest(file) },
  }));
}

/** SHA-256 over the canonical JSON of `{pieces, size}` as release.json has them: every byte of the file follows from it. */
function piecesDigest({ pieces, size }: Extract<ReleaseFile, { readonly pieces: unknown }>): string {
  return createHash('sha256').update(canonicalJson({ pieces, size }), 'utf8').digest('hex');
}

function check(value: unknown, code: 'malformed' | 'not-encodable'): ReleaseProvenance {
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const wrong = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'it'}: ${issue.message}`);
    throw new FormatError(code, `provenance.json: ${wrong.slice(0, 5).join('; ')}`);
  }
  const { subject: subjects, predicate } = parsed.data;
  const { externalParameters, internalParameters, resolvedDependencies } = predicate.buildDefinition;
  return {
    subjects,
    definition: externalParameters.definition,
    time: internalParameters.sourceDateEpoch,
    dependencies: resolvedDependencies,
    osguard: predicate.runDetails.builder.version.osguard,
  };
}

function isSorted(subjects: readonly { readonly name: string }[]): boolean {
  return subjects.every(({ name }, index) => index === 0 || (subjects[index - 1]?.name ?? '') < name);
}
