export { demonstrateLayers } from './demo.ts';
export type { LayersDemo, LayersDemoOptions } from './demo.ts';
export type { DemoChapter, DemoChapterId } from './demo-chapters.ts';
