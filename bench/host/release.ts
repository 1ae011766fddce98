/** A built release: how fast it is verified, how much memory that takes, and how big it is. */

import { execFileSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Figure, Measurement } from '../figure.ts';
import { defineFigure } from '../figure.ts';
import type { Bench, Command } from '../measure.ts';
import { openLab } from './_lab.ts';

interface Manifest {
  readonly packages: { readonly count: number };
  readonly files: readonly { readonly path: string; readonly size: number }[];
}

/** What `osguard image build --json` and `release.json` have in common. */
function manifestOf(release: string): Manifest {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by the build a moment ago
  const envelope = JSON.parse(readFileSync(join(release, 'release.json'), 'utf8')) as {
    readonly payload: string;
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as above
  const statement = JSON.parse(Buffer.from(envelope.payload, 'base64').toString('utf8')) as Manifest;
  return statement;
}

function sizeOf(release: string, name: string): number {
  const file = manifestOf(release).files.find(({ path }) => path === name);
  if (file === undefined) throw new Error(`${release}/release.json does not name ${name}`);
  return file.size;
}

function verifyCommand(bench: Bench, image: string): Command & { readonly bytes: () => number } {
  const { env, keys } = openLab(bench);
  // As ./quickstart and the first use of ./osguard leave a checkout; sources changed since then.
  execFileSync(process.execPath, [join(bench.root, 'scripts/bundle.ts')], { stdio: 'inherit' });
  let bytes = 0;
  return {
    argv: [join(bench.root, 'osguard'), 'image', 'verify', image, '--trust', keys, '--json'],
    env,
    check(stdout) {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own --json
      const report = JSON.parse(stdout) as { readonly ok: boolean; readonly verifiedBytes: number };
      if (!report.ok) throw new Error(`${image} is not verified: ${stdout.slice(0, 2000)}`);
      bytes = report.verifiedBytes;
    },
    bytes: () => bytes,
  };
}

/** The largest file that a definition may take has 1 GiB. Bytes. */
const bigFile = 1_000_000_000;
let bigRelease: { readonly path: string; readonly buildBytes: number } | undefined;

/** A release whose /usr has more than 1 GB, and the most memory a process had while it was built. */
async function big(bench: Bench): Promise<{ readonly path: string; readonly buildBytes: number }> {
  if (bigRelease !== undefined) return bigRelease;
  const lab = openLab(bench);
  lab.release();
  // Beside the release, its disk and the file itself.
  const folder = bench.scratch(3 * bigFile);
  const source = join(lab.folder, 'big.bin');
  const fd = openSync(source, 'w');
  const block = Buffer.alloc(10_000_000);
  for (let at = 0; at < bigFile; at += block.length) writeSync(fd, randomFillSync(block));
  closeSync(fd);
  const definition = lab.define('big', { big: { name: 'big.bin', room: '1536 MiB' } });
  const path = join(folder, 'release');
  const { largestBytes } = await bench.once({ ...lab.build(definition, path), memory: true });
  rmSync(source);
  bigRelease = { path, buildBytes: largestBytes };
  return bigRelease;
}

const mebibytes = (bytes: number): number => bytes / 2 ** 20;

async function verifySpeed(bench: Bench): Promise<Measurement> {
  const release = openLab(bench).release();
  const command = verifyCommand(bench, release);
  const { seconds, cpuSeconds } = await bench.median(command);
  const megabytes = command.bytes() / 1e6;
  // Verification of a folder reads every file of it: the disk counts with all its zeros.
  const listed = manifestOf(release).files.reduce((sum, { size }) => sum + size, 0) / 1e6;
  const disk = await bench.median(verifyCommand(bench, join(release, 'disk.raw')), 3);
  return {
    value: megabytes / seconds,
    notes: {
      usr: `${megabytes.toFixed(0)} MB`,
      wall: `${seconds.toFixed(2)} s`,
      cpu: `${cpuSeconds.toFixed(2)} s`,
      'files-of-the-manifest': `${listed.toFixed(0)} MB`,
      'disk.raw-alone': `${(megabytes / disk.seconds).toFixed(0)} MB/s`,
    },
  };
}

async function verifySpeedBig(bench: Bench): Promise<Measurement> {
  const { path } = await big(bench);
  const command = verifyCommand(bench, path);
  const { seconds } = await bench.median(command, 3);
  const megabytes = command.bytes() / 1e6;
  return {
    value: megabytes / seconds,
    notes: { usr: `${megabytes.toFixed(0)} MB`, wall: `${seconds.toFixed(2)} s` },
  };
}

async function buildMemory(bench: Bench): Promise<Measurement> {
  const lab = openLab(bench);
  const plain = await bench.once({
    ...lab.build(lab.define('memory'), join(lab.folder, 'memory')),
    memory: true,
  });
  rmSync(join(lab.folder, 'memory'), { recursive: true });
  const { path, buildBytes } = await big(bench);
  return {
    value: mebibytes(Math.max(plain.largestBytes, buildBytes)),
    notes: {
      'container-host': `${Math.round(mebibytes(plain.largestBytes))} MiB`,
      [`usr-of-${Math.round(sizeOf(path, 'usr.erofs') / 1e6)}-MB`]: `${Math.round(mebibytes(buildBytes))} MiB`,
    },
  };
}

async function verifyMemory(bench: Bench): Promise<Measurement> {
  const plain = await bench.once({
    ...verifyCommand(bench, openLab(bench).release()),
    memory: true,
  });
  const { path } = await big(bench);
  const large = await bench.once({ ...verifyCommand(bench, path), memory: true });
  return {
    value: mebibytes(Math.max(plain.largestBytes, large.largestBytes)),
    notes: {
      'container-host': `${Math.round(mebibytes(plain.largestBytes))} MiB`,
      [`usr-of-${Math.round(sizeOf(path, 'usr.erofs') / 1e6)}-MB`]: `${Math.round(mebibytes(large.largestBytes))} MiB`,
    },
  };
}

async function packages(bench: Bench): Promise<Measurement> {
  return { value: manifestOf(openLab(bench).release()).packages.count };
}

async function usrSize(bench: Bench): Promise<Measurement> {
  const release = openLab(bench).release();
  return {
    value: sizeOf(release, 'usr.erofs') / 1e6,
    notes: { tree: `${(sizeOf(release, 'usr.verity') / 1e6).toFixed(1)} MB` },
  };
}

async function ukiSize(bench: Bench): Promise<Measurement> {
  return { value: sizeOf(openLab(bench).release(), 'uki.efi') / 1e6 };
}

export const figures: readonly Figure[] = [
  defineFigure({
    id: 'image-verify',
    title: 'osguard image verify of the container host, start of the process included',
    unit: 'MB/s',
    target: { atLeast: 500 },
    measure: verifySpeed,
  }),
  defineFigure({
    id: 'image-verify-big',
    title: 'the same with more than 1 GB of /usr',
    unit: 'MB/s',
    target: { atLeast: 500 },
    measure: verifySpeedBig,
  }),
  defineFigure({
    id: 'build-memory',
    title: 'peak memory of the largest process of a build',
    unit: 'MiB',
    target: { atMost: 400 },
    measure: buildMemory,
  }),
  defineFigure({
    id: 'verify-memory',
    title: 'peak memory of osguard image verify',
    unit: 'MiB',
    target: { atMost: 400 },
    measure: verifyMemory,
  }),
  defineFigure({
    id: 'size-packages',
    title: 'packages in the container host',
    unit: 'packages',
    target: { atMost: 150 },
    measure: packages,
  }),
  defineFigure({
    id: 'size-usr',
    title: 'size of /usr',
    unit: 'MB',
    target: { atMost: 250 },
    measure: usrSize,
  }),
  defineFigure({
    id: 'size-uki',
    title: 'size of the boot image',
    unit: 'MB',
    target: { atMost: 35 },
    measure: ukiSize,
  }),
];
