/** One step of a journey: says that it began, how it went and how long it took. */

import type { EventSink, Progress, StepEnded } from './events.ts';

export interface StepName {
  readonly id: string;
  readonly title: string;
  /** Milliseconds of a monotonic clock; tests give their own. */
  readonly now?: () => number;
}

/** What the body of a step may say about itself. */
export interface StepReport {
  progress(progress: Omit<Progress, 'type' | 'id'>): void;
  /** The one line shown when the step is done. */
  detail(line: string): void;
  /** The step found its result ready and did nothing. */
  cached(line?: string): void;
  warning(code: string, message: string, hint?: string): void;
}

/**
 * Runs `body` as one step. The end is reported whether the body returns or throws; an AbortError counts as cancelled.
 * Whatever the body throws is thrown on.
 */
export async function step<T>(
  sink: EventSink | undefined,
  name: StepName,
  body: (report: StepReport) => T | Promise<T>,
): Promise<T> {
  const { id, title, now = () => performance.now() } = name;
  const started = now();
  let state: StepEnded['state'] = 'done';
  let detail: string | undefined;
  sink?.({ type: 'step', state: 'started', id, title });
  try {
    return await body({
      progress: (progress) => sink?.({ type: 'progress', id, ...progress }),
      detail: (line) => {
        detail = line;
      },
      cached: (line) => {
        state = 'cached';
        detail = line ?? detail;
      },
      warning: (code, message, hint) =>
        sink?.({ type: 'warning', code, message, ...(hint !== undefined && { hint }) }),
    });
  } catch (error) {
    state = isAbort(error) ? 'cancelled' : 'failed';
    throw error;
  } finally {
    const milliseconds = now() - started;
    sink?.({ type: 'step', state, id, title, milliseconds, ...(detail !== undefined && { detail }) });
  }
}

/** True for what an aborted AbortSignal makes Node's own functions and `signal.throwIfAborted()` throw. */
export function isAbort(error: unknown): boolean {
  return (
    error instanceof Error && (error.name === 'AbortError' || ('code' in error && error.code === 'ABORT_ERR'))
  );
}
