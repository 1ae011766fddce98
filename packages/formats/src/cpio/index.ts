export type { CpioAttributes, CpioEntry, CpioKind, CpioNode } from './entry.ts';
export { readCpio } from './read.ts';
export type { CpioReadEntry, ReadCpioOptions } from './read.ts';
export { writeCpio } from './write.ts';
