/**
 * The rules between rooms (ARCHITECTURE.md, "The house"), checked on every source and test file:
 * a room imports only from rooms above it in the list, only through their package.json exports, only what its
 * own package.json names; formats is pure; only cli prints. `node scripts/check-rooms.ts` prints each breach
 * as `file:line: what` and ends with status 1 when there is one.
 */

import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';

/** Top to bottom: a room may import those before it. */
export const rooms: readonly string[] = [
  'events',
  'formats',
  'keys',
  'tpm',
  'image',
  'layers',
  'attest',
  'node',
  'machine',
  'cli',
];
/** May import any room but cli; only tests may import it. */
const testkit = 'testkit';

/** What pure code may take from Node: none of it touches anything outside the process. */
const pureBuiltins = new Set(['node:buffer', 'node:crypto', 'node:util', 'node:zlib']);
const impure =
  /\b(?:Date\.now|performance\.now|Math\.random|random(?:Bytes|UUID|Int|FillSync)|getRandomValues|process\.\w+|fetch\(|set(?:Timeout|Interval|Immediate)\()|\bnew Date\(\)/g;
/** `console.log` and its like, but not a member that happens to be named console. */
const printing = /(?<![.\w-])console\.\w+|\bprocess\.std(?:out|err)\b/g;

interface Manifest {
  readonly exports?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

interface SourceFile {
  /** Relative to the root, for messages. */
  readonly path: string;
  readonly room: string;
  readonly isTest: boolean;
  /** With comments blanked out, lines kept. */
  readonly code: string;
}

/** One line for each breach, in the order of the files. */
export function checkRooms(root: string): readonly string[] {
  const manifests = new Map<string, Manifest>();
  const breaches: string[] = [];
  for (const room of readdirSync(join(root, 'packages')).sort()) {
    const path = join(root, 'packages', room, 'package.json');
    if (!existsSync(path)) continue;
    manifests.set(room, readManifest(path));
    if (room !== testkit && !rooms.includes(room)) {
      breaches.push(`packages/${room}: not in the list of rooms (${rooms.join(', ')})`);
    }
  }
  const shared = readManifest(join(root, 'package.json'));
  for (const file of sourceFiles(root)) {
    breaches.push(...checkImports(file, { root, manifests, shared }), ...checkEffects(file));
  }
  return breaches;
}

function readManifest(path: string): Manifest {
  const manifest: Manifest = JSON.parse(readFileSync(path, 'utf8'));
  return manifest;
}

function sourceFiles(root: string): readonly SourceFile[] {
  return globSync('packages/*/{src,test}/**/*.ts', { cwd: root })
    .sort()
    .map((path) => {
      const [, room = '', folder] = path.split('/');
      const code = withoutComments(readFileSync(join(root, path), 'utf8'));
      return { path, room, isTest: folder === 'test', code };
    });
}

interface House {
  readonly root: string;
  readonly manifests: ReadonlyMap<string, Manifest>;
  /** The workspace's own package.json: what tests may use besides. */
  readonly shared: Manifest;
}

function checkImports(file: SourceFile, house: House): readonly string[] {
  return importsOf(file.code).flatMap(({ specifier, line }) => {
    const problem = importProblem(file, specifier, house);
    return problem === undefined ? [] : [`${file.path}:${line}: ${specifier}: ${problem}`];
  });
}

function importProblem(file: SourceFile, specifier: string, house: House): string | undefined {
  if (specifier.startsWith('.')) return relativeProblem(file, specifier, house.root);
  const { room, isTest } = file;
  if (isBuiltin(specifier)) {
    if (!specifier.startsWith('node:')) return 'write node: before built-in modules';
    if (room !== 'formats' || isTest || pureBuiltins.has(specifier)) return undefined;
    return `formats is pure: only ${[...pureBuiltins].join(', ')}`;
  }
  if (specifier.startsWith('@osguard/')) return roomProblem(file, specifier, house);
  const name = /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier;
  const own = house.manifests.get(room)?.dependencies ?? {};
  const atTest = { ...house.shared.dependencies, ...house.shared.devDependencies };
  if (name in own || (isTest && name in atTest)) return undefined;
  return `not among the dependencies of packages/${room}/package.json`;
}

function relativeProblem(file: SourceFile, specifier: string, root: string): string | undefined {
  const target = relative(root, resolve(root, dirname(file.path), specifier));
  const inside = target.startsWith(`packages/${file.room}/`);
  if (!inside) return 'leaves the room: import other rooms by their package name';
  if (!file.isTest && target.startsWith(`packages/${file.room}/test/`)) return 'sources do not import tests';
  return undefined;
}

function roomProblem({ room, isTest }: SourceFile, specifier: string, house: House): string | undefined {
  const [, target = '', ...rest] = specifier.split('/');
  if (target === testkit && !isTest) return 'only tests import the testkit';
  if (target === room && !isTest) return 'inside a room, import by a relative path';
  const above = rooms.indexOf(target) >= 0 && rooms.indexOf(target) < rooms.indexOf(room);
  const allowed =
    (target === room || target === testkit) && isTest ? true : room === testkit ? target !== 'cli' : above;
  if (!allowed)
    return `${room} may import only ${rooms.slice(0, rooms.indexOf(room)).join(', ') || 'nothing'}`;
  const manifest = house.manifests.get(target);
  if (manifest === undefined) return 'there is no such room';
  if (!isTest && !(`@osguard/${target}` in (house.manifests.get(room)?.dependencies ?? {}))) {
    return `not among the dependencies of packages/${room}/package.json`;
  }
  const wanted = rest.length === 0 ? '.' : `./${rest.join('/')}`;
  for (const [pattern, path] of Object.entries(manifest.exports ?? {})) {
    const [before = '', after] = pattern.split('*');
    const star = wanted.slice(before.length);
    const matches =
      after === undefined ? wanted === pattern : wanted.startsWith(before) && !star.includes('/');
    if (matches && existsSync(join(house.root, 'packages', target, path.replace('*', star))))
      return undefined;
  }
  return `not exported by packages/${target}/package.json`;
}

function checkEffects({ path, room, isTest, code }: SourceFile): readonly string[] {
  const found: string[] = [];
  const look = (pattern: RegExp, why: string): void => {
    for (const match of code.matchAll(pattern)) {
      found.push(`${path}:${lineAt(code, match.index)}: ${match[0]}: ${why}`);
    }
  };
  if (isTest || room === testkit) return found;
  if (room !== 'cli') look(printing, 'only cli prints');
  if (room === 'formats') look(impure, 'formats is pure: no clock, randomness, environment or network');
  return found;
}

function importsOf(code: string): readonly { readonly specifier: string; readonly line: number }[] {
  const forms = [
    /^[ \t]*(?:import|export)\b[^'"();]*?\bfrom\s*['"]([^'"]+)['"]/gm,
    /^[ \t]*import\s*['"]([^'"]+)['"]/gm,
    /\b(?:import|require|import\.meta\.resolve)\(\s*['"]([^'"]+)['"]/g,
    /\bnew URL\(\s*['"](\.[^'"]+)['"]/g,
  ];
  return forms
    .flatMap((form) => [...code.matchAll(form)])
    .map((match) => ({ specifier: match[1] ?? '', at: match.index + match[0].length }))
    .sort((a, b) => a.at - b.at)
    .map(({ specifier, at }) => ({ specifier, line: lineAt(code, at) }));
}

function lineAt(code: string, index: number): number {
  return code.slice(0, index).split('\n').length;
}

/**
 * Blanks block comments and comments that take a whole line. A comment behind code stays, because telling it
 * from a `//` in a text needs a parser; it could only bring a false alarm, never hide a breach.
 */
function withoutComments(text: string): string {
  return text.replace(/^[ \t]*\/\*[\s\S]*?\*\//gm, blank).replace(/^[ \t]*\/\/.*$/gm, blank);
}

function blank(comment: string): string {
  return comment.replace(/[^\n]/g, ' ');
}

if (import.meta.main) {
  const breaches = checkRooms(join(import.meta.dirname, '..'));
  for (const breach of breaches) process.stdout.write(`${breach}\n`);
  if (breaches.length > 0) process.exitCode = 1;
}
