export { addonOf, withInitrdFile } from './boot-images.ts';
export { replaceUki, ukiWithChangedArgument } from './changed-argument.ts';
export type { ArgumentChange, ChangedArgumentOptions } from './changed-argument.ts';
export { DemoMachine } from './demo-machine.ts';
export type { BootEnd, BootOutcome, BootRequest, DemoMachineOptions } from './demo-machine.ts';
export { bootImagePath, createOverlay, rewriteEsp } from './esp.ts';
export type { EspFile, EspOptions } from './esp.ts';
export { readHostConfiguration, verifierPort } from './host-configuration.ts';
