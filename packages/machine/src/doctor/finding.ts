/** One thing found out about this computer. */

export type FindingState =
  /** As good as it gets. */
  | 'ok'
  /** Works, but slower or after more work of osguard's own. */
  | 'degraded'
  /** Something osguard needs for the named purpose is not there. */
  | 'missing';

export interface Finding {
  /** Stable name, for example `kvm`. */
  readonly id: string;
  readonly state: FindingState;
  /** What was found, in a few words. */
  readonly found: string;
  /** What follows from it for the person. */
  readonly meaning: string;
  /** The command that mends it; absent when nothing needs mending or no command can. */
  readonly mend?: string;
}
