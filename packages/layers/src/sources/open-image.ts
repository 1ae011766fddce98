/**
 * An image by what a person types: a registry reference, or a local source in skopeo's words (`oci:FOLDER:NAME`,
 * `oci-archive:FILE:NAME`, `docker-archive:FILE:NAME`, containers-transports(5)), or a path beginning with `.` or `/`.
 */

import { stat } from 'node:fs/promises';
import { FormatError } from '@osguard/formats/bytes';
import { formatReference, isDigest, parseReference } from '@osguard/formats/oci';
import type { Digest, Reference } from '@osguard/formats/oci';
import { LayerError } from '../error.ts';
import { openRegistry } from '../registry/open-registry.ts';
import type { RegistryOptions } from '../registry/open-registry.ts';
import type { ImageStore } from '../registry/store.ts';
import { openArchiveTarget } from './archive-target.ts';
import { readDockerArchive } from './docker-archive.ts';
import { archiveFiles, folderFiles } from './files.ts';
import { LayoutStore } from './layout-store.ts';

export interface OpenedImage {
  readonly store: ImageStore;
  /** Tag (or name) to look up; undefined when only a digest was given. */
  readonly tag?: string;
  readonly digest?: Digest;
  /** For people. */
  readonly name: string;
}

const transport = /^(?<kind>docker|oci|oci-archive|docker-archive):(?<rest>.+)$/s;

/** An OCI layout to put images into; the folder need not be there yet. */
export function openLayout(folder: string): ImageStore {
  return new LayoutStore(folderFiles(folder));
}

/** @throws LayerError `input`, `not-found` */
export async function openImage(text: string, options: RegistryOptions = {}): Promise<OpenedImage> {
  const { kind, rest } = transport.exec(text)?.groups ?? {};
  if (kind === 'docker' && rest?.startsWith('//') === true) return openRemote(rest.slice(2), options);
  if (kind !== undefined && kind !== 'docker' && rest !== undefined) return openLocal(rest, kind);
  if (/^\.{0,2}\//.test(text) || text === '.' || text === '..') return openLocal(text, 'path');
  return openRemote(text, options);
}

/**
 * The same names for something to write: an OCI layout is begun where there is none, an archive is written anew and
 * appears when the store is committed.
 *
 * @throws LayerError
 */
export async function openTarget(text: string, options: RegistryOptions = {}): Promise<OpenedImage> {
  const { kind, rest = '' } = transport.exec(text)?.groups ?? {};
  const [path = '', ...more] = rest.split(':');
  const tag = more.length === 0 ? 'latest' : more.join(':');
  if (kind === 'oci-archive' || kind === 'docker-archive') {
    return { store: await openArchiveTarget(path, kind), name: text, tag };
  }
  if (kind !== 'oci' || (await folderAt(path)) !== undefined) return openImage(text, options);
  return { store: openLayout(path), name: text, tag };
}

async function openRemote(text: string, options: RegistryOptions): Promise<OpenedImage> {
  const reference = readReference(text);
  const { tag, digest } = reference;
  return {
    store: await openRegistry(reference, options),
    name: formatReference(reference),
    ...(tag !== undefined && { tag }),
    ...(digest !== undefined && { digest }),
  };
}

function readReference(text: string): Reference {
  try {
    return parseReference(text);
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new LayerError('input', cause.message, {
      hint: 'REGISTRY/REPOSITORY:TAG, oci:FOLDER:NAME, oci-archive:FILE or docker-archive:FILE',
      cause,
    });
  }
}

async function openLocal(text: string, kind: string): Promise<OpenedImage> {
  const at = text.lastIndexOf('@sha256:');
  const digest = at < 0 ? undefined : text.slice(at + 1);
  const rest = at < 0 ? text : text.slice(0, at);
  const colon = rest.indexOf(':');
  const path = colon < 0 ? rest : rest.slice(0, colon);
  const tag = colon < 0 ? undefined : rest.slice(colon + 1);
  if (digest !== undefined && !isDigest(digest))
    throw new LayerError('input', `${text}: ${digest} is no digest`);
  const store = await openStore(path, kind);
  return {
    store,
    name: `${store.name}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`,
    ...(tag !== undefined && { tag }),
    ...(digest !== undefined && { digest }),
    ...(tag === undefined && digest === undefined && { tag: 'latest' }),
  };
}

async function openStore(path: string, kind: string): Promise<ImageStore> {
  const isFolder = await folderAt(path);
  if (isFolder === undefined) throw new LayerError('not-found', `${path}: no such file or folder`);
  if (isFolder && (kind === 'oci' || kind === 'path')) {
    const files = folderFiles(path);
    if ((await files.size('oci-layout')) !== undefined) return new LayoutStore(files);
    throw new LayerError('not-found', `${path}: no OCI layout (no file oci-layout)`);
  }
  if (isFolder || kind === 'oci') {
    throw new LayerError('input', `${path}: expected ${kind === 'oci' ? 'a folder' : 'a file'}`);
  }
  const files = await archiveFiles(path);
  // Newer docker versions save both forms in one archive; the layout has the manifests as they were pulled.
  if ((await files.size('oci-layout')) !== undefined) return new LayoutStore(files);
  if ((await files.size('manifest.json')) !== undefined) return readDockerArchive(files);
  throw new LayerError('not-found', `${path}: neither an OCI archive nor what docker save writes`);
}

async function folderAt(path: string): Promise<boolean | undefined> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) {
      return undefined;
    }
    throw error;
  }
}
