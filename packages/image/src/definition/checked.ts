/** A text that a person wrote by a schema (definition, attestation policy): what it says, or every mistake in it at once. */

import { DiagnosticsError } from '@osguard/events';
import type { Diagnostic } from '@osguard/events';
import type { z } from 'zod';

import { readDocument } from './document.ts';
import type { Located, Path } from './document.ts';
import { explainIssue } from './explain.ts';
import type { SchemaNode } from './explain.ts';

export interface WrittenText {
  readonly text: string;
  /** Name shown in diagnostics. */
  readonly file: string | undefined;
  /** What the text is, for messages. */
  readonly noun: string;
  /** Where it is said what may be written. */
  readonly hint: string;
}

/** What no schema says. */
export interface TextFinding extends Pick<Diagnostic, 'severity' | 'code' | 'message' | 'hint'> {
  readonly path: Path;
}

export interface CheckOptions<T> {
  readonly schema: z.ZodType<T>;
  /** The same, to look up what a place accepts. */
  readonly jsonSchema: () => SchemaNode;
  readonly crossCheck: (value: T) => readonly TextFinding[];
}

export interface Checked<T> {
  readonly value: T;
  readonly located: Located;
  readonly warnings: readonly Diagnostic[];
}

/** @throws DiagnosticsError with all mistakes, each with line and column. */
export function readChecked<T>(written: WrittenText, options: CheckOptions<T>): Checked<T> {
  const { text, file, noun } = written;
  const { located, diagnostics } = readDocument(text, file, { noun });
  if (located === undefined) throw mistakesIn(written, diagnostics);
  const parsed = options.schema.safeParse(located.value);
  if (!parsed.success) {
    const context = { located, schema: options.jsonSchema(), file };
    const found = parsed.error.issues.flatMap((issue) => explainIssue(issue, context));
    throw mistakesIn(
      written,
      found.map((one) => ({ ...one, message: one.message.replaceAll('the definition', `the ${noun}`) })),
    );
  }
  const findings = options.crossCheck(parsed.data).map((finding) => placed(finding, located, file));
  if (findings.some(({ severity }) => severity === 'error')) throw mistakesIn(written, findings);
  return { value: parsed.data, located, warnings: findings };
}

/** A finding at the place in the text it is about. */
export function placed(
  { path, ...finding }: TextFinding,
  located: Located,
  file: string | undefined,
): Diagnostic {
  return { ...finding, range: located.range(path), ...(file !== undefined && { file }) };
}

/** In the order in which they stand in the text. */
export function mistakesIn(
  { text, file, noun, hint }: WrittenText,
  diagnostics: readonly Diagnostic[],
): DiagnosticsError {
  const sorted = diagnostics.toSorted((a, b) => (a.range?.start.offset ?? 0) - (b.range?.start.offset ?? 0));
  const errors = sorted.filter(({ severity }) => severity === 'error').length;
  const what = errors === 1 ? '1 mistake' : `${errors} mistakes`;
  return new DiagnosticsError(`${file ?? `the ${noun}`} has ${what}`, sorted, {
    hint,
    sources: new Map([[file ?? '', text]]),
  });
}
