/**
 * The links of the documents (README.md and its like, docs/): a file that is named must be there, and so must the heading
 * behind a `#`. Commands and definitions that are named in code must exist as well. Nothing is fetched.
 * `node scripts/check-links.ts` prints each breach as `file:line: what` and ends with status 1 when there is one.
 */

import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

export interface Breach {
  readonly file: string;
  readonly line: number;
  readonly what: string;
}

/** `[text](target)`, but not an image's or a footnote's brackets inside code. */
const links = /\[[^\]]*\]\(([^)\s]+)\)/g;
/** `osguard noun verb` at the beginning of code or of a line of it. */
const commandLines = /^`?(?:\$ )?(?:\.\/)?osguard ([a-z]+)(?: ([a-z]+))?(?: ([a-z]+))?/gm;

export interface Documents {
  /** The folder links must stay in. */
  readonly root: string;
  /** For example `keys init`. */
  readonly commands: ReadonlySet<string>;
}

/** @param file relative to the root */
export function checkDocument(file: string, { root, commands }: Documents): readonly Breach[] {
  const breaches: Breach[] = [];
  let inBlock = false;
  for (const [index, text] of readFileSync(join(root, file), 'utf8').split('\n').entries()) {
    const add = (what: string): void => void breaches.push({ file, line: index + 1, what });
    if (text.startsWith('```')) inBlock = !inBlock;
    const code = inBlock ? [text] : [...text.matchAll(/`[^`]+`/g)].map(([each]) => each);
    for (const each of code) {
      for (const [, ...words] of each.matchAll(commandLines)) {
        const named = words.filter((word) => word !== undefined);
        if (named[0] !== 'help' && !isCommand(named, commands))
          add(`there is no command osguard ${named.join(' ')}`);
      }
    }
    if (inBlock) continue;
    for (const [, target = ''] of text.replaceAll(/`[^`]+`/g, '').matchAll(links)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [path = '', heading] = target.split('#');
      const full = path === '' ? join(root, file) : resolve(root, dirname(file), path);
      if (relative(root, full).startsWith('..')) add(`${target} leads out of the repository`);
      else if (!existsSync(full)) add(`${target} is not there`);
      else if (heading !== undefined && statSync(full).isFile() && !headingsOf(full).has(heading))
        add(`${path} has no heading #${heading}`);
    }
  }
  return breaches;
}

/** Whether a command begins with these words, or the words with a command. */
function isCommand(words: readonly string[], commands: ReadonlySet<string>): boolean {
  const said = `${words.join(' ')} `;
  return [...commands].some((command) => `${command} `.startsWith(said) || said.startsWith(`${command} `));
}

/** As forges name them: lower case, without punctuation, `-` for blanks. */
function headingsOf(path: string): ReadonlySet<string> {
  const names = readFileSync(path, 'utf8').matchAll(/^#+ (.*)$/gm);
  return new Set(
    [...names].map(([, title = '']) =>
      title
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

async function main(): Promise<number> {
  const root = join(import.meta.dirname, '..');
  const { commands } = await import('../packages/cli/src/commands/index.ts');
  const documents = { root, commands: new Set(commands.map(({ path }) => path.join(' '))) };
  const files = globSync(
    ['*.md', 'docs/**/*.md', 'packages/*/*.md', 'packages/*/negative/*.md', 'bench/*.md'],
    { cwd: root },
  ).sort();
  const breaches = files.flatMap((file) => checkDocument(file, documents));
  for (const { file, line, what } of breaches) process.stdout.write(`${file}:${line}: ${what}\n`);
  if (breaches.length === 0) process.stdout.write(`${files.length} documents, no broken links\n`);
  return breaches.length > 0 ? 1 : 0;
}

if (import.meta.main) process.exitCode = await main();
