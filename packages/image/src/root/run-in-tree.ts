/**
 * Runs a shell script inside a copy of a root tree, as its root user, and brings back some of what is there then:
 * for tools that only exist as programs of the image itself, such as the SELinux policy compiler.
 */

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { EventSink } from '@osguard/events';

import { BodyReader, bytesBody, treeArchive } from '../tree/index.ts';
import type { RootTree } from '../tree/index.ts';
import { loadTree } from './load-tree.ts';
import { runInNamespace } from './namespace.ts';
import { workFolder } from './script.ts';

export interface RunInTreeOptions {
  /** POSIX shell; runs with an empty environment, in `/`. Fails when it ends with a status other than 0. */
  readonly script: string;
  /** Only these paths (and what is below them) come back. */
  readonly outputs: readonly string[];
  /** Extra files put into the copy, by path. */
  readonly files?: ReadonlyMap<string, Uint8Array | string>;
  /** Paths the script does not need; leaving out kernel modules saves most of the copying. */
  readonly without?: (path: string) => boolean;
  /** Seconds since 1970. */
  readonly time: number;
  readonly cacheFolder: string;
  readonly sink?: EventSink | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** @returns a tree of the outputs alone, bodies in memory, times not later than `time` */
export async function runInTree(tree: RootTree, options: RunInTreeOptions): Promise<RootTree> {
  const { script, outputs, files, without, time, sink, signal, cacheFolder } = options;
  const copy = tree.clone();
  for (const [path, bytes] of files ?? []) copy.putFile(path, bytes, { mtime: time });
  const scriptPath = `${workFolder}/run.sh`;
  copy.putFile(scriptPath, `set -eu\ncd /\n${script}\n`, { mtime: time });
  await mkdir(cacheFolder, { recursive: true });
  const folder = await mkdtemp(join(cacheFolder, 'run-'));
  try {
    const output = join(folder, 'output.tar');
    await runInNamespace({
      stages: [
        {
          archive: archiveOf(copy, without),
          script: scriptPath,
          output,
          outputs,
        },
      ],
      time,
      memory: 2 * 1024 ** 3,
      sink,
      signal,
    });
    const result = loadTree(output);
    inMemory(result, time);
    return result;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function* archiveOf(tree: RootTree, without: RunInTreeOptions['without']): AsyncGenerator<Uint8Array> {
  yield* treeArchive(tree, without === undefined ? {} : { without });
}

function inMemory(tree: RootTree, time: number): void {
  using bodies = new BodyReader();
  for (const { node } of tree.walk()) {
    if (node.body !== undefined) node.body = bytesBody(bodies.read(node));
    if (node.type === 'directory' || node.mtime > time) node.mtime = time;
  }
}
