export { formatVerity } from './format.ts';
export type { FormattedVerity, FormatVerityOptions } from './format.ts';
export type { VerityArea } from './area.ts';
export type { VerityWorkOptions } from './run-level.ts';
