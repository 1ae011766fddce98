export { inspectImage } from './inspect-image.ts';
export type {
  DiskReport,
  EspReport,
  Finding,
  ImageKind,
  ImageReport,
  InitrdReport,
  IpeDecisionReport,
  IpeReport,
  PackageReport,
  PartitionReport,
  ReleaseReport,
  SelinuxReport,
  SignerReport,
  UkiReport,
  UsrReport,
  VerityReport,
} from './report.ts';
