/** Policy text to what it says, or to every mistake in it at once. Files it names are read by `loadPolicy`. */

import type { Diagnostic } from '@osguard/events';
import { DiagnosticsError } from '@osguard/events';
import { explainIssue, readDocument } from '@osguard/image';
import type { Located, SchemaNode } from '@osguard/image';
import { indispensablePcrs, policyJsonSchema, policySchema } from './schema.ts';
import type { WrittenPolicy } from './types.ts';

export interface ParsedPolicy {
  readonly written: WrittenPolicy;
  readonly located: Located;
  readonly warnings: readonly Diagnostic[];
}

export interface ParsePolicyOptions {
  /** Name shown in diagnostics. */
  readonly file?: string;
}

interface Finding extends Pick<Diagnostic, 'severity' | 'code' | 'message' | 'hint'> {
  readonly path: readonly (string | number)[];
}

let schemaNode: SchemaNode | undefined;

/** @throws DiagnosticsError with all mistakes, each with line and column. */
export function parsePolicy(text: string, { file }: ParsePolicyOptions = {}): ParsedPolicy {
  const { located, diagnostics } = readDocument(text, file, { noun: 'policy' });
  if (located === undefined) throw policyMistakes(diagnostics, text, file);
  const parsed = policySchema.safeParse(located.value);
  if (!parsed.success) {
    schemaNode ??= policyJsonSchema();
    const context = { located, schema: schemaNode, file };
    const found = parsed.error.issues.flatMap((issue) => explainIssue(issue, context));
    throw policyMistakes(found.map(inWordsOfPolicy), text, file);
  }
  const findings = crossCheck(parsed.data).map((finding) => placed(finding, located, file));
  if (findings.some(({ severity }) => severity === 'error')) throw policyMistakes(findings, text, file);
  return { written: parsed.data, located, warnings: findings };
}

function crossCheck({ trust, releases, quote }: WrittenPolicy): readonly Finding[] {
  const findings: Finding[] = [];
  const missing = indispensablePcrs.filter((pcr) => !quote.pcrs.includes(pcr));
  if (missing.length > 0) {
    findings.push({
      severity: 'error',
      code: 'pcrs',
      message: `quote.pcrs leaves out ${missing.join(', ')}: without them nobody knows what booted`,
      path: ['quote', 'pcrs'],
    });
  }
  if (new Set(quote.pcrs).size !== quote.pcrs.length) {
    findings.push({
      severity: 'error',
      code: 'pcrs',
      message: 'quote.pcrs names a PCR twice',
      path: ['quote', 'pcrs'],
    });
  }
  const seen = new Set<string>();
  for (const [index, { folder }] of releases.entries()) {
    if (seen.has(folder)) {
      findings.push({
        severity: 'error',
        code: 'duplicate',
        message: `${folder} is named twice: a release has one state`,
        path: ['releases', index, 'folder'],
      });
    }
    seen.add(folder);
  }
  if (trust.endorsement.roots.length === 0 && trust.endorsement.keys.length === 0) {
    findings.push({
      severity: 'warning',
      code: 'nobody',
      message: 'no EK root and no EK key is trusted: no node can enrol',
      hint: 'name certificates in trust.endorsement.roots, or node ids in trust.endorsement.keys',
      path: ['trust'],
    });
  }
  if (!releases.some(({ state }) => state !== 'revoked')) {
    findings.push({
      severity: 'warning',
      code: 'nothing',
      message: 'no release is accepted: every verdict will be `refused`',
      path: ['releases'],
    });
  }
  return findings;
}

/** A finding at the place in the text it is about. */
export function placed(
  { path, ...finding }: Finding,
  located: Located,
  file: string | undefined,
): Diagnostic {
  return { ...finding, range: located.range(path), ...(file !== undefined && { file }) };
}

function inWordsOfPolicy(diagnostic: Diagnostic): Diagnostic {
  return { ...diagnostic, message: diagnostic.message.replaceAll('the definition', 'the policy') };
}

export function policyMistakes(
  diagnostics: readonly Diagnostic[],
  text: string,
  file: string | undefined,
): DiagnosticsError {
  const sorted = diagnostics.toSorted((a, b) => (a.range?.start.offset ?? 0) - (b.range?.start.offset ?? 0));
  const errors = sorted.filter(({ severity }) => severity === 'error').length;
  const what = errors === 1 ? '1 mistake' : `${errors} mistakes`;
  return new DiagnosticsError(`${file ?? 'the policy'} has ${what}`, sorted, {
    hint: 'docs/attestation.md says what may be written',
    sources: new Map([[file ?? '', text]]),
  });
}
