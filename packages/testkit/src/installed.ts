/** Files that Debian packages ship, for tests that work on the real thing: from this machine or osguard's tools. */

import { existsSync, globSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where `path` (as installed, absolute) is to be found; undefined when neither machine nor tools have it. */
export function installedFile(path: string): string | undefined {
  if (existsSync(path)) return path;
  return globSync(join(toolsFolder(), '*', 'root', path)).sort()[0];
}

/** Where osguard keeps trees of tools. Of @osguard/machine, which is not imported: it would slow down every test's start. */
export function toolsFolder(): string {
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  return join(cache, 'osguard', 'tools');
}
