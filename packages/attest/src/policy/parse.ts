/** Policy text to what it says, or to every mistake in it at once. Files it names are read by `loadPolicy`. */

import type { Diagnostic } from '@osguard/events';
import { readChecked } from '@osguard/image';
import type { TextFinding, Located, SchemaNode, WrittenText } from '@osguard/image';
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

let schemaNode: SchemaNode | undefined;

/** @throws DiagnosticsError with all mistakes, each with line and column. */
export function parsePolicy(text: string, { file }: ParsePolicyOptions = {}): ParsedPolicy {
  const { value, ...rest } = readChecked(policyAsWritten(text, file), {
    schema: policySchema,
    jsonSchema: () => (schemaNode ??= policyJsonSchema()),
    crossCheck,
  });
  return { written: value, ...rest };
}

export function policyAsWritten(text: string, file: string | undefined): WrittenText {
  return { text, file, noun: 'policy', hint: 'docs/attestation.md says what may be written' };
}

function crossCheck({ trust, releases, quote }: WrittenPolicy): readonly TextFinding[] {
  const findings: TextFinding[] = [];
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
