export { canonicalJson, parseCanonicalJson } from './canonical.ts';
export type { JsonValue } from './canonical.ts';
