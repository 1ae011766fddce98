/** SBAT (rhboot/shim SBAT.md): lines of `component,generation,…` by which vulnerable boot programs are revoked. */

import { FormatError } from '../bytes/index.ts';

const header = 'sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md';

/** The entries of both texts, the version line once and first, entries of `added` that are there already once. */
export function mergeSbat(present: string, added: string): string {
  const lines = new Set<string>();
  for (const text of [present, added]) {
    for (const line of text.replaceAll('\0', '').split('\n')) {
      const entry = line.trim();
      if (entry === '' || entry.startsWith('sbat,')) continue;
      if (!/^[^,]+,[1-9][0-9]*(,[^,]*)*$/.test(entry)) {
        throw new FormatError(
          'not-encodable',
          `SBAT entry ${JSON.stringify(entry)}: expected component,generation,…`,
        );
      }
      lines.add(entry);
    }
  }
  return `${[header, ...lines].join('\n')}\n`;
}
