/** Policy to text: one statement a line, single blanks, LF; what parseIpePolicy reads back. */

import { FormatError } from '../bytes/index.ts';
import type { IpePolicy, IpeProperty, IpeStatement, IpeVersion } from './model.ts';
import { isIpeDigestProperty } from './model.ts';
import { parseIpePolicy } from './parse.ts';

/** @throws FormatError (`not-encodable`) when the text would not say what the object says. */
export function encodeIpePolicy(policy: IpePolicy): Uint8Array<ArrayBuffer> {
  const header = `policy_name=${policy.name} policy_version=${formatIpeVersion(policy.version)}`;
  const text = [header, ...policy.statements.map(formatIpeStatement), ''].join('\n');
  // A name or algorithm can hold blanks, newlines or wide characters: reading it back is the surest refusal.
  const bytes = new Uint8Array(Buffer.from(text, 'latin1'));
  if (!saysTheSame(bytes, policy)) {
    throw new FormatError('not-encodable', 'the policy holds characters the language cannot express');
  }
  return bytes;
}

export function formatIpeVersion(version: IpeVersion): string {
  return `${version.major}.${version.minor}.${version.revision}`;
}

/** `boot_verified=TRUE` or `dmverity_roothash=sha256:…`. */
export function formatIpeProperty(property: IpeProperty): string {
  if (isIpeDigestProperty(property)) {
    return `${property.name}=${property.digest.algorithm}:${property.digest.hex}`;
  }
  return `${property.name}=${property.value ? 'TRUE' : 'FALSE'}`;
}

/** One line without its newline, as the kernel's audit log shows rules. */
export function formatIpeStatement(statement: IpeStatement): string {
  const op = statement.op === undefined ? [] : [`op=${statement.op}`];
  const start = statement.kind === 'default' ? ['DEFAULT', ...op] : op;
  const properties = statement.kind === 'default' ? [] : statement.properties.map(formatIpeProperty);
  return [...start, ...properties, `action=${statement.action}`].join(' ');
}

function saysTheSame(bytes: Uint8Array, policy: IpePolicy): boolean {
  const again = parseIpePolicy(bytes);
  return (
    again.name === policy.name &&
    formatIpeVersion(again.version) === formatIpeVersion(policy.version) &&
    again.statements.length === policy.statements.length &&
    again.statements.every((statement, index) => {
      const wanted = policy.statements[index];
      return wanted !== undefined && formatIpeStatement(statement) === formatIpeStatement(wanted);
    })
  );
}
