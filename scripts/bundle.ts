/**
 * Bundles the command: most of the time of a short command goes into finding and loading some 350 modules. What is made
 * is a cache, like compiled code: packages/cli/src/launch.ts takes it only while it is made of the sources that are
 * there, and starts the sources themselves otherwise.
 *
 *     node scripts/bundle.ts    makes it unless it is there
 */

import { createHash } from 'node:crypto';
import {
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import type { OutputFile, Plugin } from 'esbuild';
import { build } from 'esbuild';
import type { Bundle } from '../packages/cli/src/bundle.ts';
import { bundleFolder, bundleRecord, isFresh, readBundle } from '../packages/cli/src/bundle.ts';

const root = join(import.meta.dirname, '..');
const main = 'packages/cli/src/main.ts';
const workers = globSync('packages/*/src/**/{worker,*-worker}.ts', {
  cwd: root,
  exclude: ['packages/testkit/**'],
}).sort();
/** Of npm, what short commands load; the rest is loaded from where it is. */
const inlined = /^(?:zod|commander|packageurl-js)$/;

/** `packages/image/src/files/file-worker.ts` → `image-files-file-worker`. */
function nameOf(path: string): string {
  return path === main ? 'main' : path.replace(/^packages\/|\/src|\.ts$/g, '').replaceAll('/', '-');
}

const asked = Symbol('asked');

/** Sources find their threads and the files beside them by `import.meta`: what it says in the sources has to stay. */
const places: Plugin = {
  name: 'places',
  setup(bundler) {
    bundler.onLoad({ filter: /\/packages\/[^/]+\/src\/.*\.ts$/ }, ({ path }) => {
      const folder = dirname(path);
      const contents = readFileSync(path, 'utf8')
        .replace(/new URL\('\.\/([\w-]+\.ts)', import\.meta\.url\)/g, (_, file: string) => {
          const worker = relative(root, join(folder, file));
          if (!workers.includes(worker)) throw new Error(`${path}: ${file} is no thread that is bundled`);
          return `new URL('./${nameOf(worker)}.js', import.meta.url)`;
        })
        .replaceAll('import.meta.dirname', JSON.stringify(folder));
      return { contents, loader: 'ts' };
    });
    bundler.onResolve({ filter: /^/ }, async ({ path, pluginData, ...options }) => {
      const { importer } = options;
      if (pluginData === asked || importer === '' || path.startsWith('node:')) return undefined;
      const isOurs = !importer.includes('/node_modules/');
      if (isOurs && !/^(?:\.|@osguard\/)/.test(path) && !inlined.test(path)) return { path, external: true };
      const found = await bundler.resolve(path, { ...options, pluginData: asked });
      // None of our modules does anything when it is loaded: what nobody uses can go.
      return isOurs ? { ...found, sideEffects: false } : found;
    });
  },
};

async function makeBundle(): Promise<void> {
  const began = Date.now();
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: [main, ...workers].map((path) => ({ in: path, out: nameOf(path) })),
    outdir: join(root, bundleFolder),
    bundle: true,
    splitting: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    plugins: [places],
    logLevel: 'error',
  });
  const sources = Object.keys(metafile.inputs).filter((path) => path.startsWith('packages/'));
  const inputs = [...sources, ...globSync('packages/*/package.json', { cwd: root })].sort().map((path) => {
    const { mtimeMs, size } = statSync(join(root, path));
    return { path, mtimeMs, size };
  });
  // What was written while it was read could be either; the next run finds out.
  if (inputs.some(({ mtimeMs }) => mtimeMs >= began)) return;
  const folder = writeFiles(outputFiles);
  const record: Bundle = { node: process.version, folder, inputs };
  const temporary = join(root, `${bundleRecord}.${process.pid}`);
  writeFileSync(temporary, JSON.stringify(record));
  renameSync(temporary, join(root, bundleRecord));
  // The last one may still run, and load its parts when it needs them; those before it hardly.
  for (const name of readdirSync(join(root, bundleFolder))) {
    if (/^[0-9a-f]{16}$/.test(name) && name !== folder && name !== known?.folder) {
      rmSync(join(root, bundleFolder, name), { recursive: true, force: true });
    }
  }
}

/** Into a folder named by what it holds: a command that still runs finds its parts while new ones are written. */
function writeFiles(files: readonly OutputFile[]): string {
  const digest = createHash('sha256');
  for (const { path, hash } of files) digest.update(`${basename(path)} ${hash}\n`);
  const name = digest.digest('hex').slice(0, 16);
  const folder = join(root, bundleFolder, name);
  if (existsSync(folder)) return name;
  const temporary = `${folder}.${process.pid}`;
  mkdirSync(temporary, { recursive: true });
  for (const { path, contents } of files) writeFileSync(join(temporary, basename(path)), contents);
  try {
    renameSync(temporary, folder);
  } catch (error) {
    // Two at once write the same.
    rmSync(temporary, { recursive: true });
    if (!existsSync(folder)) throw error;
  }
  return name;
}

const known = readBundle(root);
const isThere = known !== undefined && existsSync(join(root, bundleFolder, known.folder, 'main.js'));
if (!isThere || !isFresh(root, known)) await makeBundle();
