/** Strings in event data. Firmware ends some with NUL and others not; both mean the same text. */

import { FormatError } from '../bytes/index.ts';

const utf16 = new TextDecoder('utf-16le', { fatal: true, ignoreBOM: true });
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** UCS-2 text with or without NUL at its end. @throws FormatError */
export function utf16Text(bytes: Uint8Array, offset: number): string {
  if (bytes.length % 2 !== 0) {
    throw new FormatError('malformed', `UTF-16 text of ${bytes.length} bytes`, { offset });
  }
  return decode(utf16, bytes, { offset, what: 'UTF-16' });
}

/** ASCII or UTF-8 text with or without NUL at its end. @throws FormatError */
export function utf8Text(bytes: Uint8Array, offset: number): string {
  return decode(utf8, bytes, { offset, what: 'UTF-8' });
}

/** Printable text in either encoding, as boot loaders and kernel stubs put it into EV_IPL; undefined when it is neither. */
export function guessText(bytes: Uint8Array): string | undefined {
  for (const read of [utf8Text, utf16Text]) {
    try {
      const text = read(bytes, 0);
      if (text !== '' && isPrintable(text)) return text;
    } catch {
      // Not this encoding.
    }
  }
  return undefined;
}

function isPrintable(text: string): boolean {
  return !/[^\P{C}\t\n\r]/u.test(text);
}

function decode(
  decoder: InstanceType<typeof TextDecoder>,
  bytes: Uint8Array,
  { offset, what }: { readonly offset: number; readonly what: string },
): string {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch (cause) {
    throw new FormatError('malformed', `not ${what} text`, { offset, cause });
  }
  const end = text.indexOf('\0');
  if (end !== -1 && /[^\0]/.test(text.slice(end))) {
    throw new FormatError('malformed', 'text behind the NUL that ends it', { offset });
  }
  return end === -1 ? text : text.slice(0, end);
}
