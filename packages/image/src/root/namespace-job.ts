/** What is to happen in a root tree in a namespace: archives unpacked, scripts run, archives written. */

import type { EventSink } from '@osguard/events';

export interface NamespaceJob {
  /** Archives unpacked into the root one after the other, each before its script runs. */
  readonly stages: readonly NamespaceStage[];
  /** Seconds since 1970; SOURCE_DATE_EPOCH of the scripts. */
  readonly time: number;
  /** Keep the root in memory, at most this many bytes; 0 for on disk. */
  readonly memory: number;
  /** Folder for the root while it is on disk; `$TMPDIR` or /tmp when absent. */
  readonly temporary?: string | undefined;
  readonly sink?: EventSink | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called when the output of a stage is complete, with the index of the stage. */
  readonly onOutput?: (index: number) => void;
}

export interface NamespaceStage {
  /** Chunks of a tar archive. */
  readonly archive: AsyncIterable<Uint8Array>;
  /** Path in the root of a shell script to run there, or none. */
  readonly script?: string | undefined;
  /** File that receives the root as a tar archive when the stage is done. */
  readonly output?: string | undefined;
  /** Only these paths in the root are written; all of it when absent. */
  readonly outputs?: readonly string[];
  /** Paths in the root removed before the archive is written. */
  readonly remove?: readonly string[];
}
