/** Image configurations (OCI image-spec 1.1, config.md; Docker image specification 1.2): what decides how it runs. */

import { FormatError } from '../bytes/index.ts';
import type { Platform } from './descriptor.ts';
import type { Digest } from './digest.ts';
import { parseDigest } from './digest.ts';
import { Fields } from './fields.ts';
import { isObject, parseDocument } from './json.ts';

export interface ImageConfig {
  readonly platform: Platform;
  /** Digests of the uncompressed layers, lowest first. */
  readonly diffIds: readonly Digest[];
  readonly user: string;
  readonly env: readonly string[];
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  /** Absolute paths. */
  readonly volumes: readonly string[];
  readonly workingDirectory: string;
  readonly labels: ReadonlyMap<string, string>;
}

const mostLayers = 1024;
const names = ['architecture', 'os', 'variant', 'config', 'rootfs'];
const runNames = ['User', 'Env', 'Entrypoint', 'Cmd', 'Volumes', 'WorkingDir', 'Labels'];

/** @throws FormatError */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  const fields = new Fields(parseDocument(bytes, 'image config'), 'image config');
  fields.assertSpelling(names);
  const rootfs = new Fields(fields.get('rootfs'), 'image config.rootfs');
  rootfs.assertSpelling(['type', 'diff_ids']);
  if (rootfs.text('type') !== 'layers') {
    throw new FormatError('unsupported', `image config: rootfs of type ${rootfs.text('type', 64)}`);
  }
  const run = new Fields(fields.get('config') ?? {}, 'image config.config');
  run.assertSpelling(runNames);
  const volumes = run.get('Volumes') ?? {};
  if (!isObject(volumes))
    throw new FormatError('malformed', 'image config.config.Volumes: expected an object');
  const variant = fields.optionalText('variant', 64);
  return {
    platform: {
      os: fields.text('os', 64),
      architecture: fields.text('architecture', 64),
      ...(variant !== undefined && variant !== '' && { variant }),
    },
    diffIds: rootfs
      .texts('diff_ids', mostLayers)
      .map((text, index) => parseDigest(text, `image config.rootfs.diff_ids[${index}]`)),
    user: run.optionalText('User') ?? '',
    env: run.texts('Env'),
    entrypoint: run.texts('Entrypoint'),
    cmd: run.texts('Cmd'),
    volumes: Object.keys(volumes),
    workingDirectory: run.optionalText('WorkingDir') ?? '',
    labels: run.textMap('Labels'),
  };
}
