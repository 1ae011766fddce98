/** The one JSON document a command prints. */

export function encodeJson(value: unknown): string {
  return JSON.stringify(value, toJson, 2);
}

function toJson(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  // Buffer has a toJSON of its own that ran before this function.
  if (isEncodedBuffer(value)) return Buffer.from(value.data).toString('hex');
  if (value instanceof Map) return Object.fromEntries(value);
  if (value instanceof Set) return [...value];
  return value;
}

function isEncodedBuffer(value: unknown): value is { type: 'Buffer'; data: number[] } {
  if (typeof value !== 'object' || value === null) return false;
  return 'type' in value && value.type === 'Buffer' && 'data' in value && Array.isArray(value.data);
}
