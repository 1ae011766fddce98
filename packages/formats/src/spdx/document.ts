/** The part of an SPDX 2.3 document that osguard writes and reads (clauses 6 to 11 of the specification, JSON names). */

export interface SpdxDocument {
  readonly spdxVersion: 'SPDX-2.3';
  readonly dataLicense: 'CC0-1.0';
  readonly SPDXID: 'SPDXRef-DOCUMENT';
  readonly name: string;
  /** An absolute URI that no other document has. */
  readonly documentNamespace: string;
  readonly creationInfo: { readonly created: string; readonly creators: readonly string[] };
  readonly packages: readonly SpdxPackage[];
  readonly files: readonly SpdxFile[];
  readonly relationships: readonly SpdxRelationship[];
  readonly hasExtractedLicensingInfos?: readonly SpdxExtractedLicense[];
}

export interface SpdxChecksum {
  readonly algorithm: 'SHA1' | 'SHA256' | 'SHA512';
  readonly checksumValue: string;
}

export interface SpdxPackage {
  readonly SPDXID: string;
  readonly name: string;
  readonly versionInfo?: string;
  readonly supplier?: string;
  readonly downloadLocation: string;
  /** True when the files of the package are in the document. */
  readonly filesAnalyzed: boolean;
  readonly packageVerificationCode?: { readonly packageVerificationCodeValue: string };
  readonly licenseInfoFromFiles?: readonly string[];
  readonly checksums?: readonly SpdxChecksum[];
  readonly homepage?: string;
  readonly sourceInfo?: string;
  readonly licenseConcluded: string;
  readonly licenseDeclared: string;
  readonly copyrightText: string;
  readonly summary?: string;
  readonly primaryPackagePurpose?: string;
  readonly externalRefs?: readonly SpdxExternalReference[];
}

export interface SpdxExternalReference {
  readonly referenceCategory: 'PACKAGE-MANAGER';
  readonly referenceType: 'purl';
  readonly referenceLocator: string;
}

export interface SpdxFile {
  readonly SPDXID: string;
  /** Relative to the root of the package, starting with `./`. */
  readonly fileName: string;
  /** SHA1 is mandatory (clause 8.4). */
  readonly checksums: readonly SpdxChecksum[];
  readonly licenseConcluded: string;
  readonly licenseInfoInFiles: readonly string[];
  readonly copyrightText: string;
}

export interface SpdxRelationship {
  readonly spdxElementId: string;
  readonly relationshipType: 'DESCRIBES' | 'CONTAINS' | 'GENERATED_FROM' | 'OTHER';
  readonly relatedSpdxElement: string;
}

export interface SpdxExtractedLicense {
  readonly licenseId: string;
  readonly name?: string;
  readonly extractedText: string;
}
