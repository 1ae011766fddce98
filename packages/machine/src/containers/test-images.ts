/**
 * The images of the proof, in an OCI layout with their signatures and verity images, and in an archive as `ctr images
 * import` takes it. Each small one holds one program that prints a line, and has one thing wrong; `inside` holds the
 * intruder's Python.
 */

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { sourceOf } from '@osguard/formats/bytes';
import type { Descriptor, Digest } from '@osguard/formats/oci';
import { digestHex, encodeManifest, mediaTypes, parseDigest } from '@osguard/formats/oci';
import type { RootHash } from '@osguard/formats/verity';
import { writeTar } from '@osguard/formats/tar';
import type { Signer } from '@osguard/keys';
import {
  convertLayer,
  encodeTransport,
  findVerityImages,
  openLayout,
  signImage,
  verityLayerMediaType,
} from '@osguard/layers';
import type { ImageStore } from '@osguard/layers';
import { MachineError } from '../error.ts';
import { greeting, greetingProgram, waitingProgram } from './greeting-program.ts';
import { insideFiles } from './inside-files.ts';
import { makeImage } from './make-image.ts';

export type TestImageName =
  /** As it must be: the control. */
  | 'signed'
  | 'unsigned'
  /** Signed by a key nobody trusts, by the right key but for another layer, by the key for /usr. */
  | 'foreign'
  | 'swapped'
  | 'other-role'
  /** One bit of the published verity image changed: under its old digest, and published anew. */
  | 'tampered'
  | 'tampered-anew'
  /** Signed; changed after it was stored. */
  | 'stored'
  /** Signed; revoked later. */
  | 'revoked'
  /** Signed, with Python. */
  | 'inside';

export interface TestImage {
  /** As containerd knows it. */
  readonly reference: string;
  readonly digest: Digest;
  readonly layer: Digest;
  /** Absent for the unsigned one. */
  readonly rootHash?: RootHash;
  /** Of the byte that tells {@link greeting} from the changed one, in the verity image. Bytes. */
  readonly changeable?: number;
}

export type TestImages = Readonly<Record<TestImageName, TestImage>>;

export interface TestImagesOptions {
  readonly layers: Signer;
  /** Signs /usr, not layers. */
  readonly usr: Signer;
  readonly foreign: Signer;
  /** Tree of the tool set `intruder`. */
  readonly tree: string;
  /** Becomes the layout; the archive is the file `images.tar` in it. */
  readonly folder: string;
  readonly workFolder: string;
}

const names: readonly TestImageName[] = [
  'signed',
  'unsigned',
  'foreign',
  'swapped',
  'other-role',
  'tampered',
  'tampered-anew',
  'stored',
  'revoked',
  'inside',
];
export const archiveName = 'images.tar';

export async function makeTestImages(options: TestImagesOptions): Promise<TestImages> {
  const { folder, workFolder } = options;
  await mkdir(workFolder, { recursive: true });
  const store = openLayout(folder);
  const made = new Map<TestImageName, TestImage>();
  const archived: { readonly descriptor: Descriptor; readonly reference: string }[] = [];
  for (const name of names) {
    const descriptor = await makeImage(store, { ...content(name, options.tree), tag: name });
    const reference = `proof.osguard.test/${name}:1`;
    archived.push({ descriptor, reference });
    const { manifest } = await store.manifest(descriptor.digest);
    const layer = manifest.kind === 'manifest' ? manifest.layers[0] : undefined;
    if (layer === undefined) throw new MachineError('bad-option', `${name}: an image without layer`);
    made.set(name, { reference, digest: descriptor.digest, layer: layer.digest });
  }
  writeArchive(folder, archived);
  for (const name of names) {
    const image = need(made, name);
    if (name === 'unsigned') continue;
    const signer = signerOf(name, options, made);
    const opened = { store, tag: name, name };
    const report = await signImage(opened, { signer, workFolder, threads: 1 });
    const signed = report.images[0];
    const rootHash = signed?.layers[0]?.rootHash;
    if (signed === undefined || rootHash === undefined)
      throw new MachineError('bad-option', `${name}: not signed`);
    const tampered = name === 'tampered' || name === 'tampered-anew';
    const changeable =
      name === 'stored' || tampered ? await findChangeable(store, image.digest, workFolder) : undefined;
    made.set(name, { ...image, rootHash, ...(changeable !== undefined && { changeable }) });
    if (changeable === undefined || !tampered) continue;
    // Without these the host would make the image anew from the layer, and run what was signed.
    forget(folder, signed.signatures);
    if (name === 'tampered') await tamperBlob(folder, store, image);
    else await publishTampered({ folder, store, image, changeable, workFolder });
  }
  await store.close();
  const of = (name: TestImageName): TestImage => need(made, name);
  return {
    signed: of('signed'),
    unsigned: of('unsigned'),
    foreign: of('foreign'),
    swapped: of('swapped'),
    'other-role': of('other-role'),
    tampered: of('tampered'),
    'tampered-anew': of('tampered-anew'),
    stored: of('stored'),
    revoked: of('revoked'),
    inside: of('inside'),
  };
}

function need(made: ReadonlyMap<TestImageName, TestImage>, name: TestImageName): TestImage {
  const image = made.get(name);
  if (image === undefined) throw new MachineError('bad-option', `no image ${name}`);
  return image;
}

function content(name: TestImageName, tree: string): Pick<Parameters<typeof makeImage>[1], 'files' | 'env'> {
  const greet = { path: 'greet', body: greetingProgram(), mode: 0o755 };
  if (name === 'inside')
    return { files: [greet, ...insideFiles(tree)], env: ['PYTHONHOME=/usr', 'SIGNED_FOLDER='] };
  const wait = { path: 'wait', body: waitingProgram(), mode: 0o755 };
  return { files: [greet, wait, { path: 'name', body: Buffer.from(name) }] };
}

function signerOf(
  name: TestImageName,
  { layers, usr, foreign }: TestImagesOptions,
  made: ReadonlyMap<TestImageName, TestImage>,
): Signer {
  if (name === 'foreign') return foreign;
  if (name === 'other-role') {
    // Under its own name the key would not be asked.
    const certificate = { ...usr.certificate, commonName: 'proof layers' };
    return { role: 'layers', certificate, sign: (algorithm, data) => usr.sign(algorithm, data) };
  }
  if (name !== 'swapped') return layers;
  const other = Buffer.from(need(made, 'signed').rootHash ?? '');
  // A message without attributes is a signature of its content: whatever is asked for, it is the other root hash.
  return {
    role: 'layers',
    certificate: layers.certificate,
    sign: (algorithm) => layers.sign(algorithm, other),
  };
}

async function published(
  store: ImageStore,
  { layer }: TestImage,
): Promise<Awaited<ReturnType<typeof findVerityImages>>[number]> {
  const [image] = await findVerityImages(store, layer);
  if (image === undefined) throw new MachineError('bad-option', `nothing is published for ${layer}`);
  return image;
}

/** What the image's only layer becomes. */
async function verityImage(
  store: ImageStore,
  image: Digest,
  output: string,
): Promise<Awaited<ReturnType<typeof convertLayer>>> {
  const { manifest } = await store.manifest(image);
  const descriptor = manifest.kind === 'manifest' ? manifest.layers[0] : undefined;
  if (descriptor === undefined) throw new MachineError('bad-option', `${image}: an image without layer`);
  return convertLayer(store.blob(descriptor), { output, mediaType: descriptor.mediaType, threads: 1 });
}

/** Where in the verity image the byte lies whose lowest bit changes what the program says. Bytes. */
export async function findChangeable(store: ImageStore, image: Digest, workFolder: string): Promise<number> {
  const output = join(workFolder, 'changeable.erofs');
  await verityImage(store, image, output);
  const at = readFileSync(output).indexOf(greeting);
  rmSync(output);
  if (at < 0) throw new MachineError('bad-option', `${image}: the program is not in its layer`);
  return at + greeting.length - 2;
}

function blobFile(folder: string, digest: Digest): string {
  return join(folder, 'blobs', 'sha256', digestHex(digest));
}

function flip(bytes: Uint8Array, at: number): void {
  bytes[at] = (bytes[at] ?? 0) ^ 1;
}

/** What whoever can write to the registry's disk does. */
async function tamperBlob(folder: string, store: ImageStore, image: TestImage): Promise<void> {
  const { transport } = await published(store, image);
  const path = blobFile(folder, transport.digest);
  const bytes = readFileSync(path);
  flip(bytes, bytes.length >> 1);
  writeFileSync(path, bytes);
}

interface Tampering {
  readonly folder: string;
  readonly store: ImageStore;
  readonly image: TestImage;
  readonly changeable: number;
  readonly workFolder: string;
}

/** What whoever may push does: all digests are right again, only the signature is of what was there before. */
async function publishTampered({ folder, store, image, changeable, workFolder }: Tampering): Promise<void> {
  const { artifact } = await published(store, image);
  const output = join(workFolder, 'tampered.erofs');
  const converted = await verityImage(store, image.digest, output);
  const bytes = readFileSync(output);
  flip(bytes, changeable);
  writeFileSync(output, bytes);
  const blob = join(workFolder, 'tampered.blob');
  const { digest, size } = await encodeTransport(output, { output: blob, layer: converted });
  writeFileSync(blobFile(folder, parseDigest(digest)), readFileSync(blob));
  const { manifest } = await store.manifest(artifact);
  if (manifest.kind !== 'manifest') throw new MachineError('bad-option', `${artifact} is no manifest`);
  const layers = manifest.layers.map((each) =>
    each.mediaType === verityLayerMediaType ? { ...each, digest: parseDigest(digest), size } : each,
  );
  forget(folder, artifact);
  await store.pushManifest(encodeManifest({ ...manifest, layers }), { mediaType: mediaTypes.ociManifest });
}

/** Takes a referrer out of the layout. */
function forget(folder: string, digest: Digest): void {
  const path = join(folder, 'index.json');
  const index: { manifests: { digest: string }[] } = JSON.parse(readFileSync(path, 'utf8'));
  const manifests = index.manifests.filter((each) => each.digest !== digest);
  writeFileSync(path, JSON.stringify({ ...index, manifests }));
}

/** Images only: signatures are not in it. */
export function writeArchive(
  folder: string,
  images: readonly { readonly descriptor: Descriptor; readonly reference: string }[],
): void {
  const plain = { kind: 'file', mode: 0o644, uid: 0, gid: 0, mtime: { seconds: 0, nanoseconds: 0 } } as const;
  const index = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociIndex,
    manifests: images.map(({ descriptor: { mediaType, digest, size }, reference }) => ({
      mediaType,
      digest,
      size,
      annotations: { 'io.containerd.image.name': reference },
    })),
  };
  const blobs = new Map<Digest, Uint8Array>();
  const add = (digest: Digest): Uint8Array => {
    const bytes = readFileSync(blobFile(folder, digest));
    blobs.set(digest, bytes);
    return bytes;
  };
  for (const { descriptor } of images) {
    const parsed: { config: { digest: string }; layers: { digest: string }[] } = JSON.parse(
      Buffer.from(add(descriptor.digest)).toString('utf8'),
    );
    for (const { digest } of [parsed.config, ...parsed.layers]) add(parseDigest(digest));
  }
  const entries = [
    { ...plain, path: 'oci-layout', body: sourceOf(Buffer.from('{"imageLayoutVersion":"1.0.0"}')) },
    { ...plain, path: 'index.json', body: sourceOf(Buffer.from(JSON.stringify(index))) },
    ...Array.from(blobs, ([digest, bytes]) => ({
      ...plain,
      path: `blobs/sha256/${digestHex(digest)}`,
      body: sourceOf(bytes),
    })),
  ];
  const chunks = Array.from(writeTar(entries), (chunk) => Uint8Array.from(chunk));
  writeFileSync(join(folder, archiveName), Buffer.concat(chunks));
}
