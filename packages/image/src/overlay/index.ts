export { applyDefinition } from './apply.ts';
export type { ApplyDefinitionOptions } from './apply.ts';
export { readAccounts } from './accounts.ts';
export type { Accounts } from './accounts.ts';
export { applyUnits } from './units.ts';
