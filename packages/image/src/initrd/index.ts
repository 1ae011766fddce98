export { composeInitrd } from './compose.ts';
export type { InitrdBinding, InitrdEntry } from './compose.ts';
export { guardProgram } from './guard.ts';
export { libraryClosure } from './libraries.ts';
export type { LibraryRequest } from './libraries.ts';
export { moduleClosure } from './modules.ts';
export type { ModuleRequest } from './modules.ts';
