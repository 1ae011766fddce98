import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TextPosition } from '@osguard/events';
import { renderDiagnostic } from '../src/render/diagnostic.ts';
import { formatBytes, formatDuration, plural } from '../src/render/format.ts';
import { paintFor, printable } from '../src/render/paint.ts';
import { table } from '../src/render/table.ts';
import { renderTree } from '../src/render/tree.ts';

const stream = { write: () => true };
const io = { stdout: stream, stderr: stream, env: {}, signal: new AbortController().signal };
const paint = paintFor(io, stream);

const at = (column: number): TextPosition => ({ line: 1, column, offset: column - 1 });

test('durations and sizes', () => {
  assert.deepEqual([0, 999, 1000, 59_900, 60_000, 3_599_999].map(formatDuration), [
    '0 ms',
    '999 ms',
    '1.0 s',
    '59.9 s',
    '1 min 00 s',
    '60 min 00 s',
  ]);
  assert.deepEqual([0, 999, 1024, 10_240, 262_144_000, 2 ** 40].map(formatBytes), [
    '0 B',
    '999 B',
    '1.00 KiB',
    '10.0 KiB',
    '250 MiB',
    '1.00 TiB',
  ]);
  assert.equal(plural(1, 'entry', 'entries') + plural(2, 'file'), '1 entry2 files');
});

test('tables line up wide characters', () => {
  assert.equal(
    table(
      [
        ['日本', 'x'],
        ['a', 'y'],
      ],
      { head: ['name', 'v'], indent: 1 },
    ),
    ' name  v\n 日本  x\n a     y',
  );
});

test('printable keeps nothing a terminal would act on', () => {
  assert.equal(printable('a\u001b[2J\r\n\tb\u202e\u009bc'), 'a\\x1b[2J\\x0d\\x0a    b\\u202e\\x9bc');
  assert.equal(printable('a\n\tb', { lines: true }), 'a\n\tb');
  assert.equal(printable('grüße 日本'), 'grüße 日本');
});

test('a diagnostic in a very long line shows the part around the mistake', () => {
  const source = `${'x'.repeat(500)}BAD${'y'.repeat(500)}`;
  const range = { start: at(501), end: at(504) };
  const shown = renderDiagnostic(
    { severity: 'error', code: 'c', message: 'm', file: 'f', range },
    { paint, source },
  );
  const [, where, line = '', squiggle = ''] = shown.split('\n');
  assert.equal(where, '  at f:1:501');
  assert(line.length < 140);
  assert.equal(line.slice(squiggle.indexOf('^'), squiggle.lastIndexOf('^') + 1), 'BAD');
});

test('a diagnostic behind the end of its text does not fail', () => {
  const position = { line: 9, column: 4, offset: 99 };
  const range = { start: position, end: position };
  const shown = renderDiagnostic(
    { severity: 'warning', code: 'c', message: 'm', range, hint: 'h' },
    { paint, source: '' },
  );
  assert.equal(shown, 'warning[c] m\n  at input:9:4\n  hint: h');
});

test('a tree', () => {
  const root = {
    label: 'a',
    children: [
      { label: 'b', children: [{ label: 'c' }] },
      { label: 'd', children: [{ label: 'e' }] },
    ],
  };
  assert.equal(renderTree(root, paint), 'a\n|- b\n|  `- c\n`- d\n   `- e');
});
