export { fileTypes, parseFileContexts, parseFileContextSubs } from './file-contexts.ts';
export type { FileContextSpec, FileType, Substitution } from './file-contexts.ts';
export { compileFileContexts } from './labels.ts';
export type { FileContexts, FileContextsInput } from './labels.ts';
export { compileRegex } from './regex-match.ts';
export type { PathMatcher } from './regex-match.ts';
