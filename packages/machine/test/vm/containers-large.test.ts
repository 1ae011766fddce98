/**
 * What is large: an image of 120 layers, and a layer of gibibytes. `OSGUARD_LARGE` is the size of that layer in GiB; without
 * it nothing of this is run, for it takes many minutes where there is no KVM.
 */

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream, rmSync, statSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

import type { Digest } from '@osguard/formats/oci';
import { encodeManifest, mediaTypes, parseDigest } from '@osguard/formats/oci';
import { writeTar } from '@osguard/formats/tar';
import type { ByteSource } from '@osguard/formats/bytes';
import { sourceOf } from '@osguard/formats/bytes';
import type { ImageStore } from '@osguard/layers';
import { scratch } from '@osguard/testkit';

import { pushBytes } from '../../src/containers/make-image.ts';
import { ContainerRig } from './containers-rig.ts';
import type { PushedImage } from './containers-rig.ts';
import { forget, greets, leftBehind, mebibyte, mustPull, smallImage } from './containers-scene.ts';

const { OSGUARD_LARGE: wanted } = process.env;
const gibibytes = Number(wanted ?? 0);
const skip = wanted === undefined && 'OSGUARD_LARGE=1 runs it, with a layer of 1 GiB';
const layerCount = 120;
/** What the service may take at most, as for signing. */
const mostMemory = 300 * mebibyte;

describe('large images on the host', { timeout: 60 * 60_000, skip }, () => {
  const folder = scratch('large');
  let opened: ContainerRig | undefined;

  before(async () => {
    opened = await ContainerRig.open({ folder, mode: 'enforce', diskSize: `${4 + 2 * gibibytes}G` });
  });
  after(async () => {
    await opened?.[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  });
  const rig = (): ContainerRig => opened ?? assert.fail('there is no host');

  it(`runs an image of ${layerCount} layers`, async (t) => {
    const above = Array.from({ length: layerCount - 1 }, (_, index) => [
      { path: `layer-${index + 1}`, body: Buffer.from(`layer ${index + 1}`) },
    ]);
    const signer = await rig().keyring.signer('layers');
    const image = await rig().push('deep', { files: smallImage('deep'), above }, signer);
    assert.equal(image.rootHashes.length, layerCount);
    const { host } = await rig().boot('large');
    const { seconds } = await mustPull(host, image);
    t.diagnostic(`pulled in ${Math.round(seconds)} s`);
    const started = await host.run(image.reference);
    greets(started);
    t.diagnostic(`started in ${Math.round(started.seconds)} s`);
    await host.must(
      host.ctr('run', '-d', '--snapshotter', 'osguard', image.reference, 'deep', '/wait'),
      'deep',
    );
    const root = '/run/containerd/io.containerd.runtime.v2.task/default/deep/rootfs';
    const names = (await host.list(root)).filter((name) => name.startsWith('layer-'));
    assert.equal(names.length, layerCount - 1);
    await host.ctr('tasks', 'rm', '-f', 'deep');
    await host.must(host.ctr('containers', 'rm', 'deep'), 'deep');
    await forget(host, image);
    assert.deepEqual(await leftBehind(host), []);
  });

  it(`pulls a layer of ${gibibytes} GiB with bounded memory`, async (t) => {
    const signer = await rig().keyring.signer('layers');
    const image = await pushLarge(rig(), gibibytes * 1024 * mebibyte, folder.file('large.tar.gz'), signer);
    const { host } = rig().booted;
    const { seconds } = await mustPull(host, image);
    const shown = ['show', '--property', 'MainPID,MemoryPeak', 'osguard-layers.service'];
    const { output } = await host.program(['/usr/bin/systemctl', ...shown]);
    const [, pid = ''] = /MainPID=(\d+)/.exec(output) ?? [];
    const status = await host.ask('show-file', { path: `/proc/${pid}/status` });
    const peak = Number(/VmHWM:\s+(\d+) kB/.exec(status.output)?.[1]) * 1024;
    t.diagnostic(`${Math.round(seconds)} s, ${Math.round(peak / mebibyte)} MiB at most (${output.trim()})`);
    assert.ok(peak < mostMemory, `${peak}`);
    greets(await host.run(image.reference));
    await forget(host, image);
  });
});

async function pushLarge(
  rig: ContainerRig,
  size: number,
  file: string,
  signer: Parameters<ContainerRig['push']>[2],
): Promise<PushedImage> {
  const uncompressed = createHash('sha256');
  const plain = { uid: 0, gid: 0, mtime: { seconds: 0, nanoseconds: 0 } };
  const small = smallImage('large').map(({ path, body, mode = 0o644 }) => ({
    ...plain,
    path,
    kind: 'file' as const,
    mode,
    body: sourceOf(body),
  }));
  const folders = ['dev', 'proc', 'run', 'sys', 'tmp'].map((path) => ({
    ...plain,
    path,
    kind: 'directory' as const,
    mode: 0o755,
  }));
  const large = { ...plain, path: 'data', kind: 'file' as const, mode: 0o644, body: compressible(size) };
  function* bytes(): Generator<Uint8Array> {
    for (const chunk of writeTar([...folders, ...small, large])) {
      const copy = Uint8Array.from(chunk);
      uncompressed.update(copy);
      yield copy;
    }
  }
  await pipeline(Readable.from(bytes()), createGzip({ level: 1 }), createWriteStream(file));
  const diffId = `sha256:${uncompressed.digest('hex')}`;
  const put = async (store: ImageStore): Promise<void> => {
    const digest = await digestOf(file);
    const layer = {
      mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
      digest,
      size: statSync(file).size,
    };
    await store.pushBlob(layer, (offset) => createReadStream(file, { start: offset }));
    const config = Buffer.from(
      JSON.stringify({
        os: 'linux',
        architecture: 'amd64',
        config: { Cmd: ['/greet'] },
        rootfs: { type: 'layers', diff_ids: [diffId] },
      }),
    );
    const manifest = encodeManifest({
      kind: 'manifest',
      mediaType: mediaTypes.ociManifest,
      config: await pushBytes(store, mediaTypes.ociConfig, config),
      layers: [layer],
      annotations: new Map(),
    });
    await store.pushManifest(manifest, { mediaType: mediaTypes.ociManifest, tag: '1' });
  };
  const image = await rig.pushWith('large', { put, signer });
  rmSync(file);
  return image;
}

async function digestOf(file: string): Promise<Digest> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) hash.update(chunk);
  return parseDigest(`sha256:${hash.digest('hex')}`);
}

/** No holes, and still little to send. */
function compressible(size: number): ByteSource {
  const block = 4096;
  const seed = randomBytes(512);
  return {
    size,
    read(offset, length) {
      const bytes = Buffer.alloc(length, 0x61);
      for (let at = 0; at < length; at += 1) {
        const place = offset + at;
        const within = place % block;
        if (within < seed.length) bytes[at] = (seed[within] ?? 0) ^ ((place / block) & 0xff);
      }
      return bytes;
    },
  };
}
