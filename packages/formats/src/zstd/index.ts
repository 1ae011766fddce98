export { ZstdFrames } from './frames.ts';
