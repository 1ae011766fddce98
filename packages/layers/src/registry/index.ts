export { openRegistry } from './open-registry.ts';
export type { RegistryOptions } from './open-registry.ts';
export { findCredentials } from './credentials.ts';
export type { CredentialOptions, Credentials } from './credentials.ts';
export { Secret } from './secret.ts';
export type {
  BlobOptions,
  ImageStore,
  OpenContent,
  PushBlobOptions,
  PushManifestOptions,
  ReferrersOptions,
  StoredManifest,
  StoreOptions,
} from './store.ts';
