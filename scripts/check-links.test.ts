import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { scratch } from '@osguard/testkit';
import { checkDocument } from './check-links.ts';

const commands = new Set(['keys init', 'prove', 'attest token list']);

function breachesOf(text: string): readonly string[] {
  using dir = scratch('links');
  mkdirSync(dir.file('docs'));
  writeFileSync(dir.file('docs/other.md'), '# One heading, and `code`\n');
  writeFileSync(dir.file('docs/this.md'), text);
  return checkDocument('docs/this.md', { root: dir.path, commands }).map(
    ({ line, what }) => `${line}: ${what}`,
  );
}

void test('good links are good', () => {
  const text = `# Here
[a](other.md) and [b](../docs/other.md#one-heading-and-code), [c](#here), [d](https://example.com/x) and \`[no](link)\`
\`\`\`
[also](no-link)
./osguard keys init --dir keys
\`\`\`
\`osguard prove out\`, \`osguard keys\`, \`osguard attest token\`, \`osguard help prove\``;
  assert.deepEqual(breachesOf(text), []);
});

void test('what is named and is not there is told with its line', () => {
  const text = `[a](gone.md)
[b](other.md#nothing) [c](../../elsewhere.md)
\`osguard keys make\`
\`\`\`
$ osguard provide
\`\`\``;
  assert.deepEqual(breachesOf(text), [
    '1: gone.md is not there',
    '2: other.md has no heading #nothing',
    '2: ../../elsewhere.md leads out of the repository',
    '3: there is no command osguard keys make',
    '5: there is no command osguard provide',
  ]);
});
