/** Paths from archives are hostile until they are known to stay where they are unpacked. */

import { encodeText, FormatError } from '../bytes/index.ts';

/** Limits of Linux: NAME_MAX and PATH_MAX (with its NUL). Bytes. */
const maxName = 255;
const maxPath = 4096;

/**
 * The path without `.` components and doubled or trailing slashes; '' is the root of the archive itself.
 * For paths of entries and targets of hard links; the target of a symlink may point anywhere.
 *
 * @param offset of the entry in its archive, for the error.
 * @throws FormatError (`malformed`) for an absolute path, one with a `..` component, a NUL, or a name that
 *   is too long for Linux.
 */
export function safePath(path: string, offset?: number): string {
  const where = offset === undefined ? {} : { offset };
  const refuse = (why: string): FormatError =>
    new FormatError('malformed', `${JSON.stringify(path.slice(0, 200))} ${why}`, where);
  if (path.startsWith('/')) throw refuse('is absolute');
  if (path.includes('\0')) throw refuse('has a NUL');
  if (encodeText(path).length >= maxPath) throw refuse(`is longer than ${maxPath - 1} bytes`);
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  for (const part of parts) {
    if (part === '..') throw refuse('climbs out with ..');
    if (encodeText(part).length > maxName) throw refuse(`has a name longer than ${maxName} bytes`);
  }
  return parts.join('/');
}
