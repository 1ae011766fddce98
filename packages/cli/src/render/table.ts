/** Columns that line up whatever characters are in them. Cells are taken as they are: use `printable` on foreign text. */

import stringWidth from 'string-width';

export interface TableOptions {
  /** Column titles, printed first. */
  readonly head?: readonly string[];
  /** Blanks before each line. */
  readonly indent?: number;
}

/** Lines without the last newline; no blanks at line ends. */
export function table(rows: readonly (readonly string[])[], options: TableOptions = {}): string {
  const all = options.head === undefined ? rows : [options.head, ...rows];
  const widths: number[] = [];
  for (const row of all) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, stringWidth(cell));
    }
  }
  const indent = ' '.repeat(options.indent ?? 0);
  const lines = all.map((row) => {
    const cells = row.map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - stringWidth(cell)));
    return (indent + cells.join('  ')).trimEnd();
  });
  return lines.join('\n');
}
