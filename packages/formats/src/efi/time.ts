/** EFI_TIME (UEFI 2.10 section 8.3) as authenticated variables use it: UTC, whole seconds, the rest zero. */

import { ByteReader, ByteWriter, FormatError } from '../bytes/index.ts';

export const efiTimeSize = 16;

/** 16 bytes. `milliseconds` since 1970, whole seconds. @throws FormatError */
export function encodeEfiTime(milliseconds: number): Uint8Array<ArrayBuffer> {
  const date = new Date(milliseconds);
  const year = date.getUTCFullYear();
  if (!(year >= 1900 && year <= 9999) || milliseconds % 1000 !== 0) {
    throw new FormatError(
      'not-encodable',
      `${milliseconds} ms is not a time in whole seconds from 1900 to 9999`,
    );
  }
  return new ByteWriter({ capacity: efiTimeSize })
    .u16(year)
    .u8(date.getUTCMonth() + 1)
    .u8(date.getUTCDate())
    .u8(date.getUTCHours())
    .u8(date.getUTCMinutes())
    .u8(date.getUTCSeconds())
    .zeros(9)
    .finish();
}

/** Milliseconds since 1970. @throws FormatError for an impossible date or fields that must be zero (section 8.2.2). */
export function parseEfiTime(bytes: Uint8Array, base = 0): number {
  const reader = new ByteReader(bytes, { base });
  const year = reader.u16('year');
  const [month = 0, day = 0, hour = 0, minute = 0, second = 0] = reader.bytes(5, 'time');
  if (reader.bytes(9, 'time').some((octet) => octet !== 0)) {
    throw new FormatError('malformed', 'EFI time: nanoseconds, time zone and padding must be zero', {
      offset: base,
    });
  }
  reader.end('EFI time');
  const value = Date.UTC(year, month - 1, day, hour, minute, second);
  const back = new Date(value);
  const same =
    back.getUTCMonth() === month - 1 && back.getUTCDate() === day && back.getUTCSeconds() === second;
  if (year < 1900 || year > 9999 || !same || hour > 23 || minute > 59) {
    throw new FormatError('malformed', 'EFI time: not a date', { offset: base });
  }
  return value;
}
