export { predictMeasurements } from './predict.ts';
export type { PredictOptions } from './predict.ts';
export { referenceValuesName, releaseMeasurements, writeReferenceValues } from './reference-values.ts';
export type { ReleaseMeasurementOptions } from './reference-values.ts';
export { isMeasuredSection, measuredSections, sectionsFromBytes, sectionsOfUki } from './uki-sections.ts';
export type { MeasuredSection, SectionContent } from './uki-sections.ts';
