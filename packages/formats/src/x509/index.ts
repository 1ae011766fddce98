export { parseCertificate, readAlgorithm } from './certificate.ts';
export type { Certificate, CertificateExtension } from './certificate.ts';
export {
  clientAuthentication,
  codeSigning,
  extensionOids,
  keyUsageAuthority,
  keyUsageDigitalSignature,
  planCertificate,
  serverAuthentication,
  signatureAlgorithm,
} from './encode.ts';
export type { CertificateIssuer, CertificatePlan, CertificateRequest } from './encode.ts';
export { commonName, encodeCommonName, formatName, parseName } from './name.ts';
export type { NameAttribute } from './name.ts';
export {
  digestAlgorithms,
  digestOf,
  digestOids,
  refusedDigestOids,
  rsaEncryption,
  signatureKind,
  signatureOids,
} from './oids.ts';
export type { DigestAlgorithm, KeyKind } from './oids.ts';
export { basicConstraints, keyUsages, validatePath } from './path.ts';
export type { BasicConstraints, KeyUsage, PathContext, PathProblem, PathVerdict } from './path.ts';
export { decodePem, encodePem } from './pem.ts';
export { isListOf, parseRevocationList } from './revocation-list.ts';
export type { RevocationList } from './revocation-list.ts';
export { findTrustPath, importPublicKey, isAuthority, isSignedBy } from './verify.ts';
export type { SignatureToCheck } from './verify.ts';
