export { predictMeasurements, ukiEvents } from './predict.ts';
export type { MeasuredEvent, PredictOptions, UkiMeasurement } from './predict.ts';
export { referenceValuesName, releaseMeasurements, writeReferenceValues } from './reference-values.ts';
export type { ReleaseMeasurementOptions } from './reference-values.ts';
export { isMeasuredSection, measuredSections, sectionsFromBytes, sectionsOfUki } from './uki-sections.ts';
export type { MeasuredSection, SectionContent } from './uki-sections.ts';
export { calculatePcr11, phasePaths } from './pcr11.ts';
export type { Pcr11Value } from './pcr11.ts';
