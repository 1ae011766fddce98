/** DOS dates: two seconds' resolution, 1980 to 2107, no time zone; here they are UTC. */

const earliest = Date.UTC(1980, 0, 1) / 1000;
const latest = Date.UTC(2107, 11, 31, 23, 59, 58) / 1000;

export interface FatTime {
  readonly date: number;
  readonly time: number;
  /** Hundredths of a second beyond `time`, 0 to 199. */
  readonly hundredths: number;
}

/** @param seconds since 1970, UTC; moved into the range that FAT can express. */
export function encodeFatTime(seconds: number): FatTime {
  const clamped = Math.min(Math.max(Math.floor(seconds), earliest), latest);
  const moment = new Date(clamped * 1000);
  return {
    date: ((moment.getUTCFullYear() - 1980) << 9) | ((moment.getUTCMonth() + 1) << 5) | moment.getUTCDate(),
    time: (moment.getUTCHours() << 11) | (moment.getUTCMinutes() << 5) | (moment.getUTCSeconds() >> 1),
    hundredths: (moment.getUTCSeconds() & 1) * 100,
  };
}

/** Seconds since 1970; the earliest date when the field is unset or no date. */
export function decodeFatTime(date: number, time: number): number {
  const month = (date >> 5) & 15;
  const day = date & 31;
  if (month < 1 || month > 12 || day < 1) return earliest;
  return Date.UTC((date >> 9) + 1980, month - 1, day, time >> 11, (time >> 5) & 63, (time & 31) * 2) / 1000;
}
