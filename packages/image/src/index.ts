export { ImageError } from './error.ts';
export type { ImageErrorCode } from './error.ts';
export { buildImage } from './build.ts';
export type { BuildOptions, BuiltRelease } from './build.ts';
export type { NodeProgram } from './host/index.ts';
export { definitionJsonSchema, loadDefinition, mistakesIn, placed, readChecked } from './definition/index.ts';
export type { Checked, Located, SchemaNode, TextFinding, WrittenText } from './definition/index.ts';
export { openFileSource } from './files/source.ts';
export type { FileSource } from './files/source.ts';
export { defaultCacheFolder } from './packages/index.ts';
export {
  calculatePcr11,
  isMeasuredSection,
  measuredSections,
  phasePaths,
  predictMeasurements,
  referenceValuesName,
  releaseMeasurements,
  sectionsFromBytes,
  sectionsOfUki,
  ukiEvents,
} from './measure/index.ts';
export type {
  MeasuredSection,
  Pcr11Value,
  PredictOptions,
  ReleaseMeasurementOptions,
  SectionContent,
} from './measure/index.ts';
export { openRelease } from './release/folder.ts';
export type { ReleaseFolder } from './release/folder.ts';
export { formatVerity, verifyVerity } from './verity/index.ts';
export type {
  BadBlock,
  FormattedVerity,
  FormatVerityOptions,
  VerifyVerityOptions,
  VerityArea,
  VerityVerdict,
} from './verity/index.ts';
export { verifyImage } from './verify/index.ts';
export type { Check, VerifyImageOptions, VerifyReport } from './verify/index.ts';
export { diffImages } from './diff/index.ts';
export type { DiffEntry, DiffOptions, FieldDiff, ImageDiff, PartDiff, PartId } from './diff/index.ts';
export { inspectImage } from './inspect/index.ts';
export type {
  Finding,
  ImageReport,
  IpeDecisionReport,
  PartitionReport,
  SignerReport,
} from './inspect/index.ts';
