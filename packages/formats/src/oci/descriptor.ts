/** Descriptors: what points from a document to content (OCI image-spec 1.1, descriptor.md). */

import { FormatError } from '../bytes/index.ts';
import type { JsonValue } from '../json/index.ts';
import type { Digest } from './digest.ts';
import { Fields } from './fields.ts';

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly osVersion?: string;
}

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly artifactType?: string;
  readonly platform?: Platform;
  readonly annotations?: ReadonlyMap<string, string>;
  /** The content itself, when the document embeds it; its digest has not been looked at. */
  readonly data?: Uint8Array;
}

/** RFC 6838 section 4.2. */
const mediaType = /^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$/;
const names = ['mediaType', 'digest', 'size', 'urls', 'annotations', 'data', 'artifactType', 'platform'];

/** @throws FormatError */
export function parseDescriptor(value: unknown, where = 'descriptor'): Descriptor {
  const fields = new Fields(value, where);
  fields.assertSpelling(names);
  const type = parseMediaType(fields.text('mediaType'), fields.where('mediaType'));
  const artifactType = fields.optionalText('artifactType', 255);
  const annotations = fields.textMap('annotations');
  const data = fields.optionalText('data', 1024 * 1024);
  return {
    mediaType: type,
    digest: fields.digest('digest'),
    size: fields.size('size'),
    ...(artifactType !== undefined && { artifactType }),
    ...(fields.get('platform') !== undefined && {
      platform: parsePlatform(fields.get('platform'), fields.where('platform')),
    }),
    ...(annotations.size > 0 && { annotations }),
    ...(data !== undefined && { data: decodeBase64(data, fields.where('data')) }),
  };
}

/** @throws FormatError unless `text` is one media type without parameters. */
export function parseMediaType(text: string, where = 'media type'): string {
  if (mediaType.test(text)) return text;
  throw new FormatError('malformed', `${where}: ${JSON.stringify(text.slice(0, 80))} is no media type`);
}

function parsePlatform(value: unknown, where: string): Platform {
  const fields = new Fields(value, where);
  const variant = fields.optionalText('variant', 64);
  const osVersion = fields.optionalText('os.version', 64);
  return {
    os: fields.text('os', 64),
    architecture: fields.text('architecture', 64),
    ...(variant !== undefined && variant !== '' && { variant }),
    ...(osVersion !== undefined && { osVersion }),
  };
}

/** `linux/arm64/v8`. */
export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant === undefined ? [] : [variant])].join('/');
}

/** Standard alphabet with padding (RFC 4648 section 4), nothing else. @throws FormatError */
export function decodeBase64(text: string, where: string): Uint8Array<ArrayBuffer> {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text) throw new FormatError('malformed', `${where}: no base64`);
  return new Uint8Array(bytes);
}

/** For the encoder of documents. */
export function descriptorJson(descriptor: Descriptor): { readonly [key: string]: JsonValue } {
  const { annotations, artifactType, data, platform } = descriptor;
  return {
    mediaType: descriptor.mediaType,
    digest: descriptor.digest,
    size: descriptor.size,
    ...(artifactType !== undefined && { artifactType }),
    ...(annotations !== undefined &&
      annotations.size > 0 && { annotations: Object.fromEntries(annotations) }),
    ...(data !== undefined && { data: Buffer.from(data).toString('base64') }),
    ...(platform !== undefined && {
      platform: {
        os: platform.os,
        architecture: platform.architecture,
        ...(platform.variant !== undefined && { variant: platform.variant }),
        ...(platform.osVersion !== undefined && { 'os.version': platform.osVersion }),
      },
    }),
  };
}
