/**
 * Verified layers as mounted file systems. The kernel checks root hash and signature while it opens dm-verity, and
 * every block when it is read; this only asks it to, and looks at what came of it.
 */

import { readFileSync } from 'node:fs';
import type { Layer } from './model.ts';

export interface LayerFiles {
  /** EROFS image with its hash tree appended. */
  readonly image: string;
  /** Detached PKCS#7 over the root hash in hex; absent only with `mode: audit`. */
  readonly signature: string | undefined;
}

export interface Volumes {
  /** Opens and mounts the layer, unless it is. @returns the folder. @throws SnapshotterError `layer-refused` or `layer-mismatch`. */
  open(layer: Layer, files: LayerFiles): Promise<string>;
  /** Unmounts and closes the layer, if it is open. Fails while a container uses it. */
  close(id: number): Promise<void>;
  /** Layers that are mounted or half open. */
  opened(): Promise<readonly number[]>;
  /** Root hashes of open layers in which the kernel met bytes that are not what was signed. */
  damaged(): Promise<ReadonlySet<string>>;
}

/** What is mounted on a folder, in the kernel's words (proc_pid_mountinfo(5)). */
export interface Mount {
  /** Of this one mount; what is mounted anew gets another. */
  readonly id: string;
  /** `MAJOR:MINOR` of the file system. */
  readonly device: string;
  /** Folder of the file system that is mounted. */
  readonly root: string;
  readonly type: string;
}

/** Folders mounted in this namespace; of several on one folder, the one on top. */
export async function mountedFolders(): Promise<ReadonlyMap<string, Mount>> {
  const mounts = new Map<string, Mount>();
  // The kernel answers at once; handing this to another thread would take longer.
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const fields = line.split(' ');
    const [id, , device, root, folder] = fields;
    const type = fields[fields.indexOf('-') + 1];
    if (!id || !device || root === undefined || folder === undefined || type === undefined) continue;
    mounts.set(unescape(folder), { id, device, root: unescape(root), type });
  }
  return mounts;
}

/** Space, tab, newline and backslash are written as three octal digits there. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
