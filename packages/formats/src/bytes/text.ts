/**
 * File names are bytes on disk and strings here. A byte that is not part of valid UTF-8 becomes the lone
 * surrogate U+DC80…U+DCFF, as Python's `surrogateescape` (PEP 383) does, so every name survives the round trip.
 */

import { FormatError } from './error.ts';

// A byte order mark is part of a name, not of an encoding.
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const escapeBase = 0xdc00;

/** @throws FormatError (`not-encodable`) for a lone surrogate that stands for no byte. */
export function encodeText(text: string): Uint8Array {
  if (text.isWellFormed()) return Buffer.from(text, 'utf8');
  const parts: Uint8Array[] = [];
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0xd800 || code > 0xdfff) parts.push(Buffer.from(character, 'utf8'));
    else if (code >= 0xdc80 && code <= 0xdcff) parts.push(Uint8Array.of(code - escapeBase));
    else throw new FormatError('not-encodable', `lone surrogate U+${code.toString(16)} stands for no byte`);
  }
  return Buffer.concat(parts);
}

/** Never fails; only valid UTF-8 gives a well-formed string. */
export function decodeText(bytes: Uint8Array): string {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return decodeEscaped(bytes);
  }
}

/** Length of the UTF-8 sequence a lead byte announces; 0 when it cannot lead one. */
function sequenceLength(lead: number): number {
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead < 0xe0) return 2;
  if (lead >= 0xe0 && lead < 0xf0) return 3;
  return lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
}

function decodeEscaped(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length;) {
    const lead = bytes[at] ?? 0;
    const length = sequenceLength(lead);
    let piece: string | undefined;
    if (length > 0 && at + length <= bytes.length) {
      try {
        piece = strictUtf8.decode(bytes.subarray(at, at + length));
      } catch {
        // Not a sequence after all: the lead byte is escaped below.
      }
    }
    text += piece ?? String.fromCharCode(escapeBase + lead);
    at += piece === undefined ? 1 : length;
  }
  return text;
}
