/** A layer of 400 MB to a signed verity image, against the tools that do it elsewhere. */

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, openSync, closeSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openTools } from '@osguard/machine';
import type { Figure, Measurement } from '../figure.ts';
import { defineFigure } from '../figure.ts';
import { NotHere } from '../not-here.ts';
import type { Bench, Command, Sample } from '../measure.ts';

const megabytes = 400;
const maker = join(import.meta.dirname, '_make-layer.ts');
/** As `./osguard` has it: Node 24 lets a young generation grow to 96 MB, most of it garbage. */
const nodeFlags: readonly string[] = ['--max-semi-space-size=8'];
const driver = join(import.meta.dirname, '_convert-run.ts');

interface Layer {
  readonly folder: string;
  readonly tar: string;
  readonly gz: string;
  readonly keys: string;
}

let layer: Layer | undefined;

/** Made once for all figures. */
function prepared(bench: Bench): Layer {
  if (layer !== undefined) return layer;
  const folder = bench.scratch(megabytes * 4e6);
  const tar = join(folder, 'layer.tar');
  const fd = openSync(tar, 'w');
  execFileSync(bench.node, [maker, String(megabytes), '12000'], { stdio: ['ignore', fd, 'inherit'] });
  closeSync(fd);
  execFileSync(bench.tool('gzip'), ['-k', tar]);
  const keys = join(folder, 'keys');
  execFileSync(join(bench.root, 'osguard'), ['keys', 'init', '--dir', keys], { stdio: 'ignore' });
  layer = { folder, tar, gz: `${tar}.gz`, keys };
  return layer;
}

function ours(bench: Bench, source: string, { folder, keys }: Layer): Command & { readonly image: string } {
  const image = join(folder, 'ours.erofs');
  return {
    image,
    argv: [bench.node, ...nodeFlags, driver, source, image, keys],
    env: bench.nodeEnv,
    prepare: () => [image, `${image}.p7s`].forEach((path) => rmSync(path, { force: true })),
  };
}

/** mkfs.erofs of Debian 13: older ones take no tar. */
async function mkfs(): Promise<{ readonly path: string; readonly name: string }> {
  try {
    const tools = await openTools({ sets: ['judges'] });
    const path = tools.command('mkfs.erofs', []).file;
    const said = execFileSync(path, ['--version'], { encoding: 'utf8' });
    return { path, name: `mkfs.erofs ${/\d[\d.]*/.exec(said)?.[0] ?? ''}` };
  } catch (cause) {
    throw new NotHere('mkfs.erofs with --tar (erofs-utils 1.7 or newer)', { cause });
  }
}

function noteOf(samples: { readonly ours: Sample; readonly peer: Sample }): Record<string, string> {
  return {
    cpu: `${samples.ours.cpuSeconds.toFixed(2)} s`,
    'peer-cpu': `${samples.peer.cpuSeconds.toFixed(2)} s`,
  };
}

/** Signed image against mkfs.erofs, veritysetup and openssl. */
async function signed(bench: Bench, compressed: boolean): Promise<Measurement> {
  const made = prepared(bench);
  const { path, name } = await mkfs();
  const veritysetup = bench.tool('veritysetup');
  const openssl = bench.tool('openssl');
  const theirs = join(made.folder, 'theirs.erofs');
  const source = compressed ? made.gz : made.tar;
  const first = compressed
    ? `${bench.tool('gzip')} -dc "$1" | ${path} --tar=f --sort=none --quiet "$2"`
    : `${path} --tar=f --sort=none --quiet "$2" "$1"`;
  // As containerd's EROFS snapshotter has it: the tree appended to the image.
  const script = `set -e; ${first}; size=$(stat -c %s "$2")
${veritysetup} format "$2" "$2" --hash-offset=$size --data-blocks=$((size / 4096)) --root-hash-file="$2.hash" > "$2.said"
${openssl} smime -sign -nocerts -noattr -binary -in "$2.hash" -inkey "$3/layers.key" -signer "$3/layers.crt" -outform der -out "$2.p7s"`;
  const own = ours(bench, source, made);
  const samples = await bench.pairs({
    ours: own,
    peer: {
      argv: ['sh', '-c', script, 'sh', source, theirs, made.keys],
      prepare: () => rmSync(theirs, { force: true }),
    },
  });
  const rootHash = checkImage(bench, own.image, await bench.once(saying(own)));
  return {
    value: samples.ours.seconds,
    peer: `${name} + veritysetup + openssl`,
    peerValue: samples.peer.seconds,
    notes: { ...noteOf(samples), 'root-hash': rootHash.slice(0, 8) },
  };
}

let said = '';

/** The same command, its words kept. */
function saying(command: Command): Command {
  return { ...command, check: (stdout) => void (said = stdout) };
}

interface Said {
  readonly rootHash: string;
  readonly hashOffset: number;
  readonly tarSize: number;
  readonly size: number;
  readonly maxRss: number;
}

function lastSaid(): Said {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what _convert-run.ts writes
  return JSON.parse(said) as Said;
}

function checkImage(bench: Bench, image: string, _ran: Sample): string {
  const { rootHash, hashOffset } = lastSaid();
  execFileSync(bench.tool('veritysetup'), ['verify', image, image, rootHash, `--hash-offset=${hashOffset}`]);
  return rootHash;
}

/** What unpacking the layer costs at best. */
async function againstUntar(bench: Bench): Promise<Measurement> {
  const made = prepared(bench);
  const out = join(made.folder, 'unpacked');
  const samples = await bench.pairs({
    ours: ours(bench, made.gz, made),
    peer: {
      argv: [bench.tool('tar'), '-xzf', made.gz, '-C', out],
      prepare() {
        rmSync(out, { recursive: true, force: true });
        mkdirSync(out);
      },
    },
  });
  rmSync(out, { recursive: true, force: true });
  return {
    value: samples.ours.seconds,
    peer: 'tar -xzf into memory',
    peerValue: samples.peer.seconds,
    notes: noteOf(samples),
  };
}

/** Five gigabytes through a pipe to a disk: time is not asked for, and memory should not be what they are in. */
async function memory(bench: Bench): Promise<Measurement> {
  const folder = mkdtempSync(join(tmpdir(), 'osguard-bench-layer-'));
  try {
    const script = '"$1" "$2" 5000 150000 | gzip -1 | "$1" "$3" "$4" - "$5"';
    const argv = [
      'sh',
      '-c',
      script,
      'sh',
      bench.node,
      maker,
      nodeFlags[0] ?? '',
      driver,
      join(folder, 'image'),
    ] as const;
    await bench.once(saying({ argv, env: bench.nodeEnv }));
    const { maxRss, tarSize, size } = lastSaid();
    return { value: maxRss / 2 ** 20, notes: { tar: tarSize, image: size } };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function imageSize(bench: Bench): Promise<Measurement> {
  const made = prepared(bench);
  const { image, ...command } = ours(bench, made.gz, made);
  await bench.once(saying(command));
  const { tarSize } = lastSaid();
  return { value: statSync(image).size / tarSize, notes: { tar: tarSize, gzip: statSync(made.gz).size } };
}

export const figures: readonly Figure[] = [
  defineFigure({
    id: 'layer-gzip',
    title: 'layer.tar.gz of 400 MB to a signed verity image',
    unit: 's',
    target: { ratio: 0.8 },
    measure: (bench) => signed(bench, true),
  }),
  defineFigure({
    id: 'layer-tar',
    title: 'layer.tar of 400 MB to a signed verity image',
    unit: 's',
    target: { ratio: 0.9 },
    measure: (bench) => signed(bench, false),
  }),
  defineFigure({
    id: 'layer-unpack',
    title: 'layer.tar.gz of 400 MB to a signed verity image, against unpacking it',
    unit: 's',
    target: { ratio: 1.05 },
    measure: againstUntar,
  }),
  defineFigure({
    id: 'layer-size',
    title: 'verity image / tar',
    unit: 'x',
    target: { atMost: 1.03 },
    measure: imageSize,
  }),
  defineFigure({
    id: 'layer-memory',
    title: 'most memory while a layer of 5 GB is converted',
    unit: 'MiB',
    target: { atMost: 300 },
    measure: memory,
  }),
];
