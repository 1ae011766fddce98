/** A node's record as JSON: what an auditor keeps beside evidence to judge it again later. */

import { z } from 'zod';
import { AttestError } from '../error.ts';
import { limits } from '../protocol/index.ts';
import { base64, sha256Hex } from '../protocol/index.ts';
import type { NodeRecord } from './types.ts';

const number = z.int().min(0).max(0xffff_ffff);

/** Members this does not know are passed over: the service says more about a node. */
const schema = z.object({
  node: sha256Hex,
  ek: base64(limits.tpmPublic),
  ak: base64(limits.tpmPublic),
  akName: z.string().regex(/^(?:[0-9a-f]{2}){22,66}$/, 'is no name in lower-case hex'),
  state: z.enum(['enrolled', 'suspended', 'unendorsed']).default('enrolled'),
  last: z
    .object({
      clock: z.string().regex(/^\d{1,20}$/, 'is no number of milliseconds, as text'),
      resetCount: number,
      restartCount: number,
      version: z.string().max(128).optional(),
    })
    .optional(),
});

/** Bytes. */
const largest = 64 * 1024;

/** @throws AttestError (`evidence`) that names the member. */
export function parseNodeRecord(bytes: Uint8Array): NodeRecord {
  if (bytes.length > largest)
    throw new AttestError('evidence', `node record: ${bytes.length} bytes are too many`);
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    throw new AttestError('evidence', 'node record: is no JSON');
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new AttestError(
      'evidence',
      `node record: ${issue?.path.join('.') ?? ''} ${issue?.message ?? 'is wrong'}`,
    );
  }
  const { ek, ak, last, ...rest } = parsed.data;
  return {
    ...rest,
    ek: new Uint8Array(Buffer.from(ek, 'base64')),
    ak: new Uint8Array(Buffer.from(ak, 'base64')),
    ...(last !== undefined && { last: { ...last, clock: BigInt(last.clock) } }),
  };
}

/** The other way round from {@link parseNodeRecord}. */
export function encodeNodeRecord({ node, ek, ak, akName, state, last }: NodeRecord): string {
  return JSON.stringify({
    node,
    ek: Buffer.from(ek).toString('base64'),
    ak: Buffer.from(ak).toString('base64'),
    akName,
    state,
    ...(last !== undefined && { last: { ...last, clock: last.clock.toString() } }),
  });
}
