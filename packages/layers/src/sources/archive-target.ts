/**
 * Writing an archive: an OCI layout in a tar, gathered in a folder beside it. With `manifest.json` it is also what
 * `docker save` writes and `docker load` reads, layers compressed as they are.
 */

import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { digestHex, formatReference, layerCompression, parseReference } from '@osguard/formats/oci';
import type { ImageManifest } from '@osguard/formats/oci';
import { encodeTarHeader, tarPadding } from '@osguard/formats/tar';
import { canonicalJson } from '@osguard/formats/json';
import { FormatError } from '@osguard/formats/bytes';
import { LayerError } from '../error.ts';
import { folderFiles } from './files.ts';
import { LayoutStore } from './layout-store.ts';

export type ArchiveKind = 'oci-archive' | 'docker-archive';

export class ArchiveTarget extends LayoutStore {
  readonly #path: string;
  readonly #folder: string;
  readonly #kind: ArchiveKind;

  constructor(path: string, { folder, kind }: { readonly folder: string; readonly kind: ArchiveKind }) {
    super(folderFiles(folder), `${kind}:${path}`);
    this.#path = path;
    this.#folder = folder;
    this.#kind = kind;
  }

  /** Only now the archive appears under its name. */
  async commit(): Promise<void> {
    const listed = this.#kind === 'docker-archive' ? await this.#dockerManifest() : undefined;
    const names = (await readdir(this.#folder, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(this.#folder.length + 1))
      .sort();
    const temporary = join(this.#folder, '.archive');
    const file = await open(temporary, 'wx', 0o644);
    try {
      if (listed !== undefined)
        await writeEntry(file, 'manifest.json', { size: listed.length, chunks: [listed] });
      for (const name of names) {
        const path = join(this.#folder, name);
        const size = await folderFiles(this.#folder).size(name);
        await writeEntry(file, name, {
          size: size ?? 0,
          chunks: createReadStream(path, { highWaterMark: 1024 * 1024 }),
        });
      }
      await file.write(new Uint8Array(1024));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, this.#path);
  }

  override async close(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #dockerManifest(): Promise<Uint8Array> {
    const images: { Config: string; RepoTags: string[]; Layers: string[] }[] = [];
    for (const tag of await this.tags()) {
      const { manifest } = await this.manifest(tag);
      if (manifest.kind === 'index') {
        throw new LayerError(
          'input',
          `${this.name}: a docker archive has one platform, and this image has several`,
          {
            hint: 'name one as IMAGE@sha256:…, or copy into oci-archive:FILE:NAME',
          },
        );
      }
      if (isImage(manifest)) {
        const { config, layers } = manifest;
        const Layers = layers.map(({ digest }) => `blobs/sha256/${digestHex(digest)}`);
        images.push({ Config: `blobs/sha256/${digestHex(config.digest)}`, RepoTags: repoTags(tag), Layers });
      }
    }
    return Buffer.from(canonicalJson(images), 'utf8');
  }
}

function isImage({ artifactType, layers }: ImageManifest): boolean {
  return (
    artifactType === undefined && layers.every(({ mediaType }) => layerCompression(mediaType) !== undefined)
  );
}

/** Docker takes names with a tag only. */
function repoTags(name: string): string[] {
  try {
    const { registry, repository, tag = 'latest' } = parseReference(name);
    return [formatReference({ registry, repository, tag })];
  } catch (error) {
    if (error instanceof FormatError) return [];
    throw error;
  }
}

async function writeEntry(
  file: FileHandle,
  path: string,
  {
    size,
    chunks,
  }: { readonly size: number; readonly chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array> },
): Promise<void> {
  const mtime = { seconds: 0, nanoseconds: 0 };
  await file.write(encodeTarHeader({ path, kind: 'file', mode: 0o644, uid: 0, gid: 0, mtime, size }));
  for await (const chunk of chunks) await file.write(chunk);
  await file.write(tarPadding(size));
}

/** Needs room for the image twice while it is written. */
export async function openArchiveTarget(path: string, kind: ArchiveKind): Promise<ArchiveTarget> {
  const final = resolve(path);
  await mkdir(dirname(final), { recursive: true });
  const folder = await mkdtemp(join(dirname(final), `.${basename(final)}.partial-`));
  return new ArchiveTarget(final, { folder, kind });
}
