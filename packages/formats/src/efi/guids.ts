/** GUIDs and attributes of the Secure Boot variables (UEFI 2.10 sections 3.3, 8.2 and 32.4; edk2 SecurityPkg). */

export const globalVariableGuid = '8be4df61-93ca-11d2-aa0d-00e098032b8c';
export const imageSecurityDatabaseGuid = 'd719b2cb-3d3a-4596-a3bc-dad00e67656f';
/** edk2 gEfiSecureBootEnableDisableGuid: the switch `SecureBootEnable`. */
export const secureBootEnableGuid = 'f0a30bc7-af08-4556-99c4-001009c93a44';
/** edk2 gEfiCustomModeEnableGuid: `CustomMode`, in which the platform accepts unsigned key changes. */
export const customModeGuid = 'c076ec0c-7028-4399-a072-71ee5c448b9f';

export const signatureTypes = {
  x509: 'a5c059a1-94e4-4aa7-87b5-ab155c2bf072',
  sha256: 'c1c41626-504c-4092-aca9-41f936934328',
} as const;

/** EFI_CERT_TYPE_PKCS7_GUID. */
export const pkcs7CertificateGuid = '4aafd29d-68df-49ee-8aa9-347d375665a7';

export const attributes = {
  nonVolatile: 0x01,
  bootService: 0x02,
  runtime: 0x04,
  timeBasedAuthenticated: 0x20,
  append: 0x40,
} as const;

/** PK, KEK, db and dbx: kept, visible at boot and runtime, changed by signed updates only. */
export const keyVariableAttributes = 0x27;

export type KeyVariable = 'PK' | 'KEK' | 'db' | 'dbx';

/** The vendor GUID of each. */
export const keyVariables: Readonly<Record<KeyVariable, string>> = {
  PK: globalVariableGuid,
  KEK: globalVariableGuid,
  db: imageSecurityDatabaseGuid,
  dbx: imageSecurityDatabaseGuid,
};
