export { buildSpdx, encodeSpdx } from './build.ts';
export type { SbomComponent, SbomFile, SbomInput, SbomPackage } from './build.ts';
export type {
  SpdxChecksum,
  SpdxDocument,
  SpdxExternalReference,
  SpdxExtractedLicense,
  SpdxFile,
  SpdxPackage,
  SpdxRelationship,
} from './document.ts';
export { encodePurl } from './purl.ts';
export type { PackageUrl } from './purl.ts';
export { checkSpdx, parseSpdx } from './validate.ts';
export { debianLicenseExpression, declaredLicense } from './copyright.ts';
export type { DeclaredLicense } from './copyright.ts';
export { spdxException, spdxLicense } from './license-names.ts';
