export type { CleanBoot } from './clean-boot.ts';
export type { BootLimits } from './context.ts';
export { defaultLimits } from './context.ts';
export { prove } from './prove.ts';
export type { ProofEnvironment, ProofReport, ProveOptions } from './prove.ts';
export type { ControlResult, ProofSummary, Row, RowResult } from './row.ts';
export { attackRows } from './table.ts';
export type { AttackRow, Stage } from './table.ts';
export { enrolledVariables } from './variables.ts';
