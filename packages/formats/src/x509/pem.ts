/** PEM armour (RFC 7468), strict: one label, standard base64, nothing hidden between the blocks. */

import { FormatError } from '../bytes/index.ts';

export function encodePem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** The bodies of all blocks with this label, in order. @throws FormatError when there is none or one is broken. */
export function decodePem(label: string, text: string): readonly Uint8Array<ArrayBuffer>[] {
  const begin = `-----BEGIN ${label}-----`;
  const end = `-----END ${label}-----`;
  const blocks: Uint8Array<ArrayBuffer>[] = [];
  for (let at = text.indexOf(begin); at !== -1; at = text.indexOf(begin, at)) {
    const stop = text.indexOf(end, at);
    if (stop === -1) throw new FormatError('truncated', `PEM: no "${end}"`, { offset: at });
    const body = text.slice(at + begin.length, stop).replaceAll(/\s/g, '');
    if (body.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(body)) {
      throw new FormatError('malformed', 'PEM: body is not base64', { offset: at });
    }
    blocks.push(new Uint8Array(Buffer.from(body, 'base64')));
    at = stop + end.length;
  }
  if (blocks.length === 0) throw new FormatError('not-this-format', `PEM: no "${begin}"`);
  return blocks;
}
