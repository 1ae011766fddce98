export { parseNeeded } from './dynamic.ts';
export { isElf } from './header.ts';
export type { ElfKind } from './header.ts';
export { elfMachines, parseElf } from './parse.ts';
export type { ElfFile } from './parse.ts';
