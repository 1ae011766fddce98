/** Times as people write them in a policy. */

const units: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

export const durationPattern: RegExp = /^[0-9]{1,6}(?:s|m|h|d)$/;
export const instantPattern: RegExp = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

/** `90s`, `5m`, `12h`, `30d` to milliseconds; undefined when `text` is none of them. */
export function parseDuration(text: string): number | undefined {
  const unit = units[text.slice(-1)];
  return durationPattern.test(text) && unit !== undefined ? Number.parseInt(text, 10) * unit : undefined;
}

/** `2026-11-22T10:00:00Z` to milliseconds since 1970; undefined for anything else and for the 30th of February. */
export function parseInstant(text: string): number | undefined {
  if (!instantPattern.test(text)) return undefined;
  const value = Date.parse(text);
  return Number.isNaN(value) || new Date(value).toISOString().slice(0, 19) !== text.slice(0, 19)
    ? undefined
    : value;
}
