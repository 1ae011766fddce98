/** Sizes as people write them (`512 MiB`) to bytes. Binary units only: a decimal `MB` is refused, it is always a mistake here. */

const units: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};

/** The written form, also published in the JSON Schema. */
export const sizePattern: RegExp = /^[1-9][0-9]{0,8} ?(?:B|KiB|MiB|GiB|TiB)$/;

/** Bytes, or undefined when `text` is not a size. */
export function parseSize(text: string): number | undefined {
  if (!sizePattern.test(text)) return undefined;
  const number = Number.parseInt(text, 10);
  const unit = units[text.replace(/^[0-9]+ ?/, '')];
  if (unit === undefined) return undefined;
  const bytes = number * unit;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
