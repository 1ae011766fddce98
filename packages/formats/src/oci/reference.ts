/**
 * Names of images, as people type them: the grammar of the distribution project's reference package and the
 * short forms of docker (`debian` is `docker.io/library/debian:latest`).
 */

import { FormatError } from '../bytes/index.ts';
import type { Digest } from './digest.ts';
import { isDigest, parseDigest } from './digest.ts';

export interface Reference {
  /** Host with its port, as written; `docker.io` when none is. */
  readonly registry: string;
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

const component = '[a-z0-9]+(?:(?:\\.|_{1,2}|-+)[a-z0-9]+)*';
const repositoryPattern = new RegExp(`^${component}(?:/${component})*$`);
const label = '[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?';
const hostPattern = new RegExp(`^(?:${label}(?:\\.${label})*|\\[[0-9A-Fa-f:]+\\])(?::([0-9]{1,5}))?$`);
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const longestName = 255;

/**
 * Without tag and digest the tag is `latest`.
 *
 * @throws FormatError
 */
export function parseReference(text: string): Reference {
  if (text.length > 1024) throw new FormatError('too-large', 'image name: longer than 1024 characters');
  const { name, tag, digest } = split(text);
  const { registry, repository } = splitName(name);
  if (tag !== undefined && !isTag(tag)) throw wrong(text, `the tag ${quote(tag)} is not allowed`);
  return {
    registry,
    repository,
    ...(digest !== undefined && { digest: parseDigest(digest, `image name ${quote(text)}`) }),
    ...(tag !== undefined && { tag }),
    ...(tag === undefined && digest === undefined && { tag: 'latest' }),
  };
}

/** `registry/repository:tag@digest`, which {@link parseReference} reads back to the same. */
export function formatReference({ registry, repository, tag, digest }: Reference): string {
  const withTag = tag === undefined ? '' : `:${tag}`;
  return `${registry}/${repository}${withTag}${digest === undefined ? '' : `@${digest}`}`;
}

export function isTag(text: string): boolean {
  return tagPattern.test(text);
}

export function isRepository(text: string): boolean {
  return text.length <= longestName && repositoryPattern.test(text);
}

/** The tag under which a registry without the referrers API keeps the referrers (distribution-spec 1.1). */
export function referrersTag(digest: Digest): string {
  const [algorithm = '', hex = ''] = digest.split(':');
  return `${algorithm.slice(0, 32)}-${hex.slice(0, 64)}`;
}

/** The digest whose referrers a tag of that schema keeps; undefined for other tags. */
export function subjectOfReferrersTag(tag: string): Digest | undefined {
  const digest = /^sha256-[0-9a-f]{64}$/.test(tag) ? tag.replace('-', ':') : undefined;
  return digest !== undefined && isDigest(digest) ? digest : undefined;
}

function split(text: string): { readonly name: string; readonly tag?: string; readonly digest?: string } {
  const at = text.indexOf('@');
  const digest = at < 0 ? undefined : text.slice(at + 1);
  const rest = at < 0 ? text : text.slice(0, at);
  // A colon before the last slash belongs to a port.
  const colon = rest.indexOf(':', rest.lastIndexOf('/') + 1);
  const tag = colon < 0 ? undefined : rest.slice(colon + 1);
  return {
    name: colon < 0 ? rest : rest.slice(0, colon),
    ...(tag !== undefined && { tag }),
    ...(digest !== undefined && { digest }),
  };
}

function splitName(name: string): { readonly registry: string; readonly repository: string } {
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  const isHost = first.includes('.') || first.includes(':') || first === 'localhost' || /[A-Z]/.test(first);
  const host = isHost ? first : 'docker.io';
  const registry = host === 'index.docker.io' ? 'docker.io' : host;
  const path = isHost ? name.slice(slash + 1) : name;
  const repository = registry === 'docker.io' && !path.includes('/') ? `library/${path}` : path;
  const port = hostPattern.exec(registry);
  if (port === null || Number(port[1] ?? 1) > 65_535 || Number(port[1] ?? 1) === 0) {
    throw wrong(name, `${quote(registry)} is no host with an optional port`);
  }
  if (/^[0-9a-f]{64}$/.test(name)) throw wrong(name, 'it would be taken for an image ID');
  if (!isRepository(repository) || registry.length + repository.length + 1 > longestName) {
    throw wrong(
      name,
      `${quote(repository)} is no repository: lower-case letters, digits and single . _ - / only`,
    );
  }
  return { registry, repository };
}

function wrong(text: string, why: string): FormatError {
  return new FormatError('malformed', `image name ${quote(text)}: ${why}`);
}

function quote(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}…` : text);
}
