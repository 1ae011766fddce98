/** Definition text to a typed definition, or to every mistake in it at once. */

import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import type { Diagnostic, DiagnosticsError } from '@osguard/events';

import { mistakesIn, readChecked } from './checked.ts';
import type { WrittenText } from './checked.ts';
import { crossCheck } from './cross-checks.ts';
import { largestDefinition } from './document.ts';
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

function written(text: string, file: string | undefined): WrittenText {
  return { text, file, noun: 'definition', hint: 'osguard image schema prints what may be written' };
}

/** @throws DiagnosticsError with all mistakes, each with line and column. */
export function parseDefinition(text: string, options: ParseDefinitionOptions = {}): LoadedDefinition {
  const { value, warnings } = readChecked(written(text, options.file), {
    schema: definitionSchema,
    jsonSchema: () => (schemaNode ??= definitionJsonSchema()),
    crossCheck,
  });
  return { definition: value, warnings, folder: resolve(options.folder ?? '.'), text };
}

/** Reads and parses a definition file. @throws DiagnosticsError, also when the file cannot be read. */
export async function loadDefinition(file: string): Promise<LoadedDefinition> {
  const unreadable = (code: string, message: string): DiagnosticsError =>
    mistakesIn(written('', file), [{ severity: 'error', code, message, file }]);
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    throw unreadable('not-readable', `cannot be read (${why})`);
  }
  if (bytes.length > largestDefinition * 4) {
    throw unreadable(
      'too-large',
      `a definition may have ${largestDefinition} characters; this file has ${bytes.length} bytes`,
    );
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw unreadable('not-text', 'is not UTF-8 text');
  }
  return parseDefinition(text, { file, folder: dirname(file) });
}
