/** Where releases are built for measuring: keys, definitions and a cache of their own on a file system in memory. */

import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from '@osguard/machine';
import type { Bench, Command } from '../measure.ts';

/** What differs from `definitions/container-host.yaml`. */
export interface Variant {
  readonly packages?: readonly string[];
  /** Text of a file below /etc. */
  readonly text?: string;
  /** Once multi-user.target is reached, the console is told how long that took: {@link announceUnit}. */
  readonly announce?: true;
  /** A file beside the definition that becomes a file of /usr, and the room it needs. */
  readonly big?: { readonly name: string; readonly room: string };
}

/** Says on the console what the start took; while systemd is not done, systemd-analyze fails and is asked again. */
export const announceUnit = `[Unit]
After=multi-user.target

[Service]
Type=exec
ExecStart=/usr/bin/systemd-analyze time
Restart=on-failure
RestartSec=200ms
StandardOutput=journal+console

[Install]
WantedBy=multi-user.target
`;

export interface Lab {
  readonly folder: string;
  readonly keys: string;
  /** The cache folder of osguard here. */
  readonly cache: string;
  readonly env: Readonly<Record<string, string>>;
  /** Writes the definition and returns its path. */
  define(name: string, variant?: Variant): string;
  /** `osguard image build`; what an earlier one left at that place goes first. */
  build(definition: string, out: string): Command & { readonly prepare: () => void };
  /** A release of the container host, built when first asked for. */
  release(): string;
}

let lab: Lab | undefined;

/** One for all figures of a run. About 1.5 GB at the most, so twice that has to be free. */
export function openLab(bench: Bench): Lab {
  lab ??= makeLab(bench);
  return lab;
}

function makeLab(bench: Bench): Lab {
  const folder = bench.scratch(2_500_000_000);
  const within = (name: string): string => join(folder, name);
  const cache = within('cache/osguard');
  for (const made of [cache, within('tmp')]) mkdirSync(made, { recursive: true });
  const env = { ...bench.nodeEnv, XDG_CACHE_HOME: within('cache'), TMPDIR: within('tmp') };
  const osguard = join(bench.root, 'osguard');
  const keys = within('keys');
  execFileSync(osguard, ['keys', 'init', '--dir', keys], {
    env: { ...process.env, ...env },
    stdio: 'ignore',
  });
  // Packages that this user has already need not come over the network once more.
  const own = join(cacheFolder(), 'packages');
  if (existsSync(own)) cpSync(own, join(cache, 'packages'), { recursive: true });
  const build = (definition: string, out: string): ReturnType<Lab['build']> => ({
    argv: [osguard, 'image', 'build', '--file', definition, '--keys', keys, '--out', out],
    env,
    prepare: () => rmSync(out, { recursive: true, force: true }),
  });
  let released: string | undefined;
  return {
    folder,
    keys,
    cache,
    env,
    define: (name, variant = {}) => writeDefinition(bench.root, { path: within(`${name}.yaml`), variant }),
    build,
    release() {
      if (released !== undefined) return released;
      const { argv, prepare } = build(this.define('release'), within('release'));
      prepare();
      process.stderr.write('building a release to measure\n');
      const [file, ...args] = argv;
      execFileSync(file, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'inherit'] });
      released = within('release');
      return released;
    },
  };
}

/** Leaves packages, drops everything that was made of them. */
export function forgetTrees({ cache }: Lab, which: 'all' | 'extra' = 'all'): void {
  const trees = join(cache, 'trees');
  if (which === 'all') {
    for (const name of ['trees', 'selinux', 'initrd'])
      rmSync(join(cache, name), { recursive: true, force: true });
  } else if (existsSync(trees)) {
    for (const name of readdirSync(trees)) if (!name.startsWith('base-')) rmSync(join(trees, name));
  }
}

interface DefinitionPlace {
  readonly path: string;
  readonly variant: Variant;
}

function writeDefinition(root: string, { path, variant }: DefinitionPlace): string {
  const { packages = [], text, big, announce } = variant;
  const edits: readonly (readonly [RegExp, string])[] = [
    // The peer has neither agent nor signed layers.
    [/^attest:\n(?:  .*\n)+/m, ''],
    [/^layers:\n(?:  .*\n)+/m, ''],
    [/^packages: \[\]$/m, `packages: [${packages.join(', ')}]`],
    ...(big === undefined ? [] : [[/^  usr: \d+ MiB$/m, `  usr: ${big.room}`] as const]),
  ];
  let definition = readFileSync(join(root, 'definitions/container-host.yaml'), 'utf8');
  for (const [from, to] of edits) {
    if (!from.test(definition))
      throw new Error(`definitions/container-host.yaml has nothing like ${from.source} any more`);
    definition = definition.replace(from, to);
  }
  const files = [
    ...(text === undefined ? [] : [`  - path: /etc/bench\n    content: ${JSON.stringify(text)}\n`]),
    ...(big === undefined ? [] : [`  - path: /usr/share/bench\n    source: ${big.name}\n`]),
    ...(announce === undefined
      ? []
      : [
          `  - path: /etc/systemd/system/bench.service\n    content: ${JSON.stringify(announceUnit)}\n`,
          `units:\n  enable: [bench.service]\n`,
        ]),
  ];
  if (files.length > 0) definition += `\nfiles:\n${files.join('')}`;
  writeFileSync(path, definition);
  return path;
}

interface LockedName {
  readonly name: string;
  readonly version: string;
}

/** What a release was built of, in words apt takes. */
export function lockedPackages(release: string): readonly string[] {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by the build a moment ago
  const lock = JSON.parse(readFileSync(join(release, 'osguard.lock'), 'utf8')) as {
    readonly packages: readonly LockedName[];
  };
  return lock.packages.map(({ name, version }) => `${name}=${version}`);
}
