/**
 * What long work reports while it runs. The rooms know nothing of terminals: they tell a sink, and `cli` renders.
 * Every event is plain data, so that it can be recorded, compared in tests and printed as JSON.
 */

export type ProgressUnit = 'bytes' | 'blocks' | 'files' | 'packages' | 'checks';

/** A step begins; its `id` is stable (`usr-verity`), its title is for people (`hash /usr`). */
export interface StepStarted {
  readonly type: 'step';
  readonly state: 'started';
  readonly id: string;
  readonly title: string;
}

export interface StepEnded {
  readonly type: 'step';
  readonly state: 'done' | 'cached' | 'failed' | 'cancelled';
  readonly id: string;
  readonly title: string;
  /** Wall time since the step started. */
  readonly milliseconds: number;
  /** One line about the outcome, for example `152 packages, 231 MB`. */
  readonly detail?: string;
}

export interface Progress {
  readonly type: 'progress';
  /** The step this belongs to. */
  readonly id: string;
  readonly done: number;
  /** Absent when the end is not known. */
  readonly total?: number;
  readonly unit: ProgressUnit;
}

/** Something that did not stop the work but that the reader has to know. */
export interface Warning {
  readonly type: 'warning';
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

/** A fact worth a line, for example where the result lies. */
export interface Note {
  readonly type: 'note';
  readonly message: string;
}

/** One line, without its newline, of a tool or of a machine's serial console. */
export interface OutputLine {
  readonly type: 'output';
  /** For example `mmdebstrap` or `serial`. */
  readonly source: string;
  readonly line: string;
}

export type OsguardEvent = StepStarted | StepEnded | Progress | Warning | Note | OutputLine;

/** Receives events in the order they happen. Must not throw and must be cheap: it is called from hot loops. */
export type EventSink = (event: OsguardEvent) => void;
