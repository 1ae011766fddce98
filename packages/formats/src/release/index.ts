export { encodeRelease, parseRelease, releasePayloadType, releaseSchemaName } from './manifest.ts';
export type {
  ReleaseFile,
  ReleaseManifest,
  ReleasePackages,
  ReleasePartition,
  ReleasePiece,
  SparseReleaseFile,
  WholeReleaseFile,
} from './manifest.ts';
export { packageListDigest } from './package-digest.ts';
export type { ListedPackage } from './package-digest.ts';
export {
  encodeProvenance,
  imageBuilderId,
  imageBuildType,
  parseProvenance,
  provenancePredicateType,
  provenanceSubjects,
} from './provenance.ts';
export type { ProvenanceDependency, ProvenanceSubject, ReleaseProvenance } from './provenance.ts';
