export type {
  EventSink,
  Note,
  OsguardEvent,
  OutputLine,
  Progress,
  ProgressUnit,
  StepEnded,
  StepStarted,
  Warning,
} from './events.ts';
export { isAbort, step } from './step.ts';
export type { StepName, StepReport } from './step.ts';
export { OsguardError } from './error.ts';
export type { ExitCode, OsguardErrorOptions } from './error.ts';
export { DiagnosticsError } from './diagnostic.ts';
export type { Diagnostic, DiagnosticsErrorOptions, TextPosition, TextRange } from './diagnostic.ts';
