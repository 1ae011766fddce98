export { encodeNodeConfiguration, parseNodeConfiguration } from './configuration.ts';
export type { AttestConfiguration, LayersConfiguration, NodeConfiguration } from './configuration.ts';
