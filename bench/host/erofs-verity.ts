/** A tree of 12,000 files and 400 MB to an EROFS image with its hash tree, against mkfs.erofs, then veritysetup. */

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { seededRandom } from '@osguard/testkit';
import type { Figure, Measurement } from '../figure.ts';
import { defineFigure } from '../figure.ts';
import type { Bench } from '../measure.ts';

const files = 12_000;
const bytes = 400_000_000;
const salt = 'aa'.repeat(32);
const uuid = 'a60c98d2-ae9b-4865-bfcb-b4e3ace11033';
const driver = join(import.meta.dirname, '_erofs-verity-run.ts');

/** Many small files and few large ones, as in /usr: sizes double up to a few MB, ever more rarely. */
function makeTree(folder: string): void {
  const random = seededRandom(4);
  const sizes = Array.from(
    { length: files },
    () => (256 + random.below(1024)) * 2 ** Math.floor(Math.log2(1 + random.below(4096))),
  );
  const scale = bytes / sizes.reduce((sum, size) => sum + size, 0);
  const content = Buffer.alloc(16 * 2 ** 20);
  for (let at = 0; at < content.length; at += 4) content.writeUInt32LE(random.below(2 ** 32), at);
  for (const [index, size] of sizes.entries()) {
    const place = join(folder, `d${index % 40}`, `s${index % 400}`);
    mkdirSync(place, { recursive: true });
    const start = random.below(2 ** 20);
    writeFileSync(join(place, `file-${index}`), content.subarray(start, start + Math.round(size * scale)));
    if (index % 10 === 0) symlinkSync(`file-${index}`, join(place, `link-${index}`));
  }
}

function versionOf(tool: string): string {
  // 1.5 says it in front of everything it does.
  const { stdout, stderr } = spawnSync(tool, ['-V'], { encoding: 'utf8' });
  return /mkfs\.erofs[^\d]*([\d.]+)/.exec(stdout + stderr)?.[1] ?? 'unknown';
}

function remove(paths: readonly string[]): () => void {
  return () => paths.forEach((path) => rmSync(path, { force: true }));
}

async function measure(bench: Bench): Promise<Measurement> {
  const mkfs = bench.tool('mkfs.erofs');
  const veritysetup = bench.tool('veritysetup');
  const folder = bench.scratch(3 * bytes);
  const tree = join(folder, 'tree');
  makeTree(tree);
  const place = (name: string): readonly [string, string] => [
    join(folder, `${name}.erofs`),
    join(folder, `${name}.verity`),
  ];
  const ours = place('ours');
  const theirs = place('theirs');
  const script = `${mkfs} --quiet -U ${uuid} -T 1700000000 "$1" "$2" && ${veritysetup} format "$1" "$3" --salt=${salt} --uuid=${uuid}`;
  const samples = await bench.pairs({
    ours: {
      argv: [bench.node, driver, tree, ...ours, salt, uuid],
      env: bench.nodeEnv,
      prepare: remove(ours),
      memory: true,
    },
    peer: {
      argv: ['sh', '-c', script, 'sh', theirs[0], tree, theirs[1]],
      prepare: remove(theirs),
      memory: true,
    },
  });
  const [image, hashes] = ours;
  const said = execFileSync(bench.node, [driver, tree, image, hashes, salt, uuid], { encoding: 'utf8' });
  execFileSync(veritysetup, ['verify', image, hashes, said.trim()]);
  const tar = Number(
    execFileSync('sh', ['-c', 'tar -C "$1" -cf - . | wc -c', 'sh', tree], { encoding: 'utf8' }),
  );
  return {
    value: samples.ours.seconds,
    peer: `mkfs.erofs ${versionOf(mkfs)} + veritysetup`,
    peerValue: samples.peer.seconds,
    notes: {
      cpu: `${samples.ours.cpuSeconds.toFixed(2)} s`,
      'peer-cpu': `${samples.peer.cpuSeconds.toFixed(2)} s`,
      memory: `${Math.round(samples.ours.peakBytes / 2 ** 20)} MiB`,
      'image/tar': (statSync(image).size / tar).toFixed(3),
      'image/peer': (statSync(image).size / statSync(theirs[0]).size).toFixed(3),
    },
  };
}

export const figures: readonly Figure[] = [
  defineFigure({
    id: 'erofs-verity',
    title: 'EROFS and hash tree of 400 MB in one pass',
    unit: 's',
    target: { ratio: 0.8 },
    measure,
  }),
];
