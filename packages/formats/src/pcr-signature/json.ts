/**
 * The JSON of `.pcrsig` and tpm2-pcr-signature.json: an object with a list of signatures for each bank. Members this
 * file does not know are kept out, as systemd ignores them.
 */

import { z } from 'zod';
import { equalBytes, FormatError } from '../bytes/index.ts';
import type { PcrSignature, PcrSignatureBank, PcrSignatures } from './types.ts';
import { pcrSignatureBanks } from './types.ts';

/** Bytes of the file, and signatures in it. */
const largest = 1_048_576;
const mostSignatures = 1024;

const digest = z.string().regex(/^[0-9a-f]{64}$/, 'is no SHA-256 in lower-case hex');
const entry = z.object({
  pcrs: z.array(z.int().min(0).max(23)).min(1).max(24),
  pkfp: digest,
  pol: digest,
  sig: z.string().min(4).max(16_384),
});
const schema = z.partialRecord(z.string().max(32), z.array(z.unknown()).max(mostSignatures));

/** Banks this room does not know are left out. @throws FormatError */
export function parsePcrSignatures(bytes: Uint8Array): PcrSignatures {
  if (bytes.length > largest) {
    throw new FormatError('too-large', `PCR signatures: ${bytes.length} bytes, more than ${largest}`);
  }
  const parsed = schema.safeParse(readJson(bytes));
  if (!parsed.success) throw malformed(parsed.error);
  const signatures: Partial<Record<PcrSignatureBank, readonly PcrSignature[]>> = {};
  for (const bank of pcrSignatureBanks) {
    const list = Object.hasOwn(parsed.data, bank) ? parsed.data[bank] : undefined;
    if (list !== undefined)
      signatures[bank] = list.map((each, index) => parseEntry(each, `${bank}.${index}`));
  }
  return signatures;
}

/** One line, in the order of the banks. */
export function encodePcrSignatures(signatures: PcrSignatures): string {
  const listed = pcrSignatureBanks.flatMap((bank) => {
    const list = signatures[bank]?.map(({ pcrs, keyFingerprint, policy, signature }) => ({
      pcrs,
      pkfp: keyFingerprint,
      pol: policy,
      sig: Buffer.from(signature).toString('base64'),
    }));
    return list === undefined ? [] : [[bank, list] as const];
  });
  return `${JSON.stringify(Object.fromEntries(listed))}\n`;
}

function parseEntry(value: unknown, where: string): PcrSignature {
  const parsed = entry.safeParse(value);
  if (!parsed.success) throw malformed(parsed.error, where);
  const { pcrs, pkfp, pol, sig } = parsed.data;
  if (pcrs.some((pcr, index) => index > 0 && (pcrs[index - 1] ?? 0) >= pcr)) {
    throw new FormatError('malformed', `PCR signatures: ${where}.pcrs: not ascending, each once`);
  }
  const signature = new Uint8Array(Buffer.from(sig, 'base64'));
  // Node skips what is no base64: only the one way of writing these bytes is taken.
  if (!equalBytes(Buffer.from(Buffer.from(signature).toString('base64')), Buffer.from(sig))) {
    throw new FormatError('malformed', `PCR signatures: ${where}.sig: no base64`);
  }
  return { pcrs, keyFingerprint: pkfp, policy: pol, signature };
}

/** A section of a UKI may end with NULs, which are padding. */
function readJson(bytes: Uint8Array): unknown {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return JSON.parse(text.replace(/\0+$/, ''));
  } catch (cause) {
    throw new FormatError('malformed', 'PCR signatures: no JSON', { cause });
  }
}

function malformed(error: z.ZodError, where = ''): FormatError {
  const [issue] = error.issues;
  const path = [where, ...(issue?.path ?? [])].filter((part) => part !== '').join('.');
  return new FormatError('malformed', `PCR signatures: ${path || 'it'}: ${issue?.message ?? 'wrong'}`);
}
