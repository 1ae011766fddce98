/** Where the verifier is: named, or left in its state folder for commands on the same machine. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { endpointFile, tokenFile } from '../protocol/index.ts';
import type { Endpoint } from './client.ts';
import { ClientError } from './error.ts';

export interface EndpointOptions {
  /** State folder of a verifier on this machine. */
  readonly folder: string;
  readonly url?: string | undefined;
  /** PEM file. */
  readonly ca?: string | undefined;
  readonly tokenFile?: string | undefined;
  /** A token given otherwise, for example in the environment. */
  readonly token?: string | undefined;
}

const schema = z.object({ url: z.string().regex(/^https:\/\//), ca: z.string().optional() });

/** @throws ClientError `no-verifier` */
export async function findEndpoint(options: EndpointOptions): Promise<Endpoint> {
  const { folder } = options;
  const local = options.url === undefined ? await readLocal(folder) : undefined;
  const url = options.url ?? local?.url ?? '';
  if (!url.startsWith('https://')) throw new ClientError('no-verifier', `${url}: not an https address`);
  const ca = options.ca === undefined ? local?.ca : await readText(options.ca, 'certificate');
  const file = options.tokenFile ?? join(folder, tokenFile);
  const token = options.token ?? (await readText(file, "operator's token")).trim();
  return { url, ca, token };
}

async function readLocal(folder: string): Promise<z.infer<typeof schema>> {
  const file = join(folder, endpointFile);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new ClientError('no-verifier', `no verifier has its state in ${folder}`, {
      hint: 'name its folder with --dir, or its address with --url',
      cause,
    });
  }
  const parsed = schema.safeParse(JSON.parse(text));
  if (parsed.success) return parsed.data;
  throw new ClientError('no-verifier', `${file}: not what a verifier writes`);
}

async function readText(file: string, what: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new ClientError('no-verifier', `cannot read the ${what}: ${message}`, { cause });
  }
}
