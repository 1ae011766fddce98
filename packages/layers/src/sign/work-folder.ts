/** A folder for images that are on their way: removed when the work is done, however it ends. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface WorkFolder extends AsyncDisposable {
  readonly path: string;
}

/** Inside `parent`; the system's folder for temporary files unless given. */
export async function openWorkFolder(parent: string = tmpdir()): Promise<WorkFolder> {
  const path = await mkdtemp(join(parent, 'osguard-layers-'));
  return { path, [Symbol.asyncDispose]: async () => rm(path, { recursive: true, force: true }) };
}
