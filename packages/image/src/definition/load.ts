/** Definition text to a typed definition, or to every mistake in it at once. */

import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import { DiagnosticsError } from '@osguard/events';
import type { Diagnostic } from '@osguard/events';

import { crossCheck } from './cross-checks.ts';
import { largestDefinition, readDocument } from './document.ts';
import { explainIssue } from './explain.ts';
import type { SchemaNode } from './explain.ts';
import { definitionJsonSchema, definitionSchema } from './schema.ts';
import type { Definition } from './types.ts';

export interface LoadedDefinition {
  readonly definition: Definition;
  /** Warnings only; a definition with errors is never returned. */
  readonly warnings: readonly Diagnostic[];
  /** Folder that `source`, `keyring` and `certificate` paths are relative to. */
  readonly folder: string;
  readonly text: string;
}

export interface ParseDefinitionOptions {
  /** Name shown in diagnostics. */
  readonly file?: string;
  /** Default: the current folder. */
  readonly folder?: string;
}

let schemaNode: SchemaNode | undefined;

/** @throws DiagnosticsError with all mistakes, each with line and column. */
export function parseDefinition(text: string, options: ParseDefinitionOptions = {}): LoadedDefinition {
  const { file } = options;
  const document = readDocument(text, file);
  const { located } = document;
  if (located === undefined) throw mistakes(document.diagnostics, text, file);

  const parsed = definitionSchema.safeParse(located.value);
  if (!parsed.success) {
    schemaNode ??= definitionJsonSchema();
    const context = { located, schema: schemaNode, file };
    throw mistakes(
      parsed.error.issues.flatMap((issue) => explainIssue(issue, context)),
      text,
      file,
    );
  }
  const findings = crossCheck(parsed.data).map(({ severity, code, message, path }): Diagnostic => {
    const range = located.range(path);
    return file === undefined ? { severity, code, message, range } : { severity, code, message, file, range };
  });
  if (findings.some(({ severity }) => severity === 'error')) throw mistakes(findings, text, file);
  return { definition: parsed.data, warnings: findings, folder: resolve(options.folder ?? '.'), text };
}

/** Reads and parses a definition file. @throws DiagnosticsError, also when the file cannot be read. */
export async function loadDefinition(file: string): Promise<LoadedDefinition> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (cause) {
    const message = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    throw mistakes(
      [{ severity: 'error', code: 'not-readable', message: `cannot be read (${message})`, file }],
      '',
      file,
    );
  }
  if (bytes.length > largestDefinition * 4) {
    const message = `a definition may have ${largestDefinition} characters; this file has ${bytes.length} bytes`;
    throw mistakes([{ severity: 'error', code: 'too-large', message, file }], '', file);
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw mistakes([{ severity: 'error', code: 'not-text', message: 'is not UTF-8 text', file }], '', file);
  }
  return parseDefinition(text, { file, folder: dirname(file) });
}

function mistakes(
  diagnostics: readonly Diagnostic[],
  text: string,
  file: string | undefined,
): DiagnosticsError {
  const sorted = diagnostics.toSorted((a, b) => (a.range?.start.offset ?? 0) - (b.range?.start.offset ?? 0));
  const errors = sorted.filter(({ severity }) => severity === 'error').length;
  const what = errors === 1 ? '1 mistake' : `${errors} mistakes`;
  return new DiagnosticsError(`${file ?? 'the definition'} has ${what}`, sorted, {
    hint: 'osguard image schema prints what may be written',
    sources: new Map([[file ?? '', text]]),
  });
}
