/** What the tests of containers share: the rig, the images in its registry, and words for what is asked of the host again and again. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestContext } from 'node:test';

import type { ContainerHost, Outcome } from '../../src/containers/container-host.ts';
import { lastLine } from '../../src/containers/container-host.ts';
import { greeting, greetingProgram, waitingProgram } from '../../src/containers/greeting-program.ts';
import type { LayerFile } from '../../src/containers/make-image.ts';
import type { ContainerRig, PushedImage } from './containers-rig.ts';

export type SceneImage =
  /** Signed, small. */
  | 'app'
  /** Signed by the second signer. */
  | 'second'
  /** Signed, in a repository that wants a password. */
  | 'private'
  /** Signed, with {@link bigSize} bytes that nothing compresses. */
  | 'big'
  /** The same for the pull that is cut off with the power. */
  | 'cut'
  /** Signed; one bit of it changes while the host is off. */
  | 'flipped';

export type SceneImages = Readonly<Record<SceneImage, PushedImage>>;

export interface Scene {
  readonly rig: ContainerRig;
  readonly images: SceneImages;
}

export const mebibyte: number = 1024 * 1024;
export const bigSize: number = 24 * mebibyte;
export const layersFolder = '/var/lib/osguard/layers';

/** Every layer is another one, by the file `name`. */
export function smallImage(name: string): readonly LayerFile[] {
  return [
    { path: 'greet', body: greetingProgram(), mode: 0o755 },
    { path: 'wait', body: waitingProgram(), mode: 0o755 },
    { path: 'name', body: Buffer.from(name) },
  ];
}

function bigImage(name: string): readonly LayerFile[] {
  return [...smallImage(name), { path: 'data', body: randomBytes(bigSize) }];
}

export async function pushScene(rig: ContainerRig): Promise<SceneImages> {
  const layers = await rig.keyring.signer('layers');
  return {
    app: await rig.push('app', { files: smallImage('app') }, layers),
    second: await rig.push('second', { files: smallImage('second') }, rig.second),
    private: await rig.push('private/app', { files: smallImage('private') }, layers),
    big: await rig.push('big', { files: bigImage('big') }, layers),
    cut: await rig.push('cut', { files: bigImage('cut') }, layers),
    flipped: await rig.push('flipped', { files: smallImage('flipped') }, layers),
  };
}

/** As a person does it. */
export function pull(
  host: ContainerHost,
  { reference }: PushedImage,
  ...flags: readonly string[]
): Promise<Outcome> {
  return host.ctr('images', 'pull', '--snapshotter', 'osguard', '--plain-http', ...flags, reference);
}

export async function mustPull(host: ContainerHost, image: PushedImage): Promise<Outcome> {
  return host.must(pull(host, image), `pull of ${image.reference}`);
}

export async function forget(host: ContainerHost, ...images: readonly PushedImage[]): Promise<Outcome> {
  return host.must(
    host.ctr('images', 'rm', '--sync', ...images.map(({ reference }) => reference)),
    'images rm',
  );
}

export function greets({ output }: Outcome): void {
  assert.ok(output.includes(greeting.trim()), output);
}

/** What was refused, and that the person who asked was told why. */
export function refused({ ok, output }: Outcome, why: RegExp, t?: TestContext): void {
  assert.equal(ok, false, output);
  t?.diagnostic(lastLine(output));
  assert.match(lastLine(output), why);
}

/** systemd needs a moment to start a service again, and so does whoever waits for the verifier. */
export async function again(run: () => Promise<Outcome>, tries = 6): Promise<Outcome> {
  for (let left = tries; ; left -= 1) {
    const outcome = await run();
    if (outcome.ok || left === 1) return outcome;
    await sleep(2000);
  }
}

/** What is left of layers, containers and their devices: nothing, once no image is there. */
export async function leftBehind(host: ContainerHost): Promise<readonly string[]> {
  const named = async (folder: string, mark: string): Promise<readonly string[]> =>
    (await host.list(folder)).filter((name) => name.startsWith(mark)).map((name) => `${folder}/${name}`);
  const loops = await host.must(
    host.program(['/usr/sbin/losetup', '--list', '--noheadings', '--output', 'BACK-FILE']),
    'losetup',
  );
  return [
    ...(await named(layersFolder, '')).filter((path) => !path.endsWith('/incoming')),
    ...(await named(`${layersFolder}/incoming`, '')),
    ...(await named('/dev/mapper', 'osguard-layer')),
    ...(await named('/run/osguard-layers/layers', '')),
    ...(await named('/var/lib/osguard/snapshots', '')),
    ...loops.output.split('\n').filter((line) => line.includes('/var/lib/osguard')),
  ];
}
