/** What this machine's apt is told: mirrors, keys, proxies. Shared with the room that makes trees of tools. */

export {
  archiveKeyrings,
  bestMirror,
  findMirrors,
  networkSettings,
  proxies,
  readAptFacts,
} from './mirror.ts';
export type { AptFacts, DebianMirrors, Mirror, MirrorSuites } from './mirror.ts';
export type { AptSource } from './apt-text.ts';
