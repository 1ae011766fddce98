export { parseDeb822 } from './stanza.ts';
export type { Deb822Field, Deb822Options, Stanza } from './stanza.ts';
export { parsePackageList, sourceOf } from './package-list.ts';
export type { DebianPackage, SourcePackage } from './package-list.ts';
export { compareDebianVersions } from './version.ts';
