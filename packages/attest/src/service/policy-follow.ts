/**
 * The policy's files, followed while the service runs: read again when they change, or when somebody says so (SIGHUP). A
 * policy that cannot be read, or has a mistake, changes nothing; that it is there is in the log, the audit and the metrics.
 */

import { stat } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { DiagnosticsError } from '@osguard/events';
import type { LogLine } from './context.ts';
import type { PolicyStatus } from './policy-status.ts';

export interface FollowOptions {
  /** Brings what the files say into force. @returns the files that were read. */
  readonly use: () => Promise<readonly string[]>;
  /** Read at the start. */
  readonly files: readonly string[];
  readonly status: PolicyStatus;
  readonly log: LogLine;
  /** Told of each new problem, once. */
  readonly onRefused: (problem: string) => Promise<unknown>;
  /** Milliseconds between looks at the files; a file that changed has to stay as it is from one look to the next. */
  readonly interval?: number;
}

export interface PolicyFollower {
  /** Looks now. @returns whether what the files say is in force */
  reload(): Promise<boolean>;
  close(): void;
}

/** Looks until a policy that was refused is tried again although nothing changed: what failed may have been the store. */
const looksBetweenTries = 30;

export async function followPolicy(options: FollowOptions): Promise<PolicyFollower> {
  const { use, status, log, onRefused, interval = 1000 } = options;
  let { files } = options;
  let seen = await printsOf(files);
  let before = seen;
  let looks = 0;
  let queue: Promise<unknown> = Promise.resolve();

  const load = async (): Promise<boolean> => {
    looks = 0;
    // Taken first: what changes while it is read is seen at the next look.
    const prints = await printsOf(files);
    seen = prints;
    try {
      files = await use();
      seen = new Map([...(await printsOf(files))].map(([file, print]) => [file, prints.get(file) ?? print]));
      status.problem = undefined;
      return true;
    } catch (error) {
      const problem = inWords(error);
      if (problem !== status.problem) {
        status.problem = problem;
        log('error', 'policy refused, the one before stays in force', { error: problem });
        await onRefused(problem).catch(() => undefined);
      }
      return false;
    }
  };
  /** One after the other. */
  const inTurn = async <T>(work: () => Promise<T>): Promise<T> => {
    const done = queue.then(work);
    queue = done.catch(() => undefined);
    return done;
  };
  const look = async (): Promise<void> => {
    const prints = await printsOf(files);
    const settled = isDeepStrictEqual(prints, before);
    before = prints;
    looks += 1;
    const tryAgain = status.problem !== undefined && looks >= looksBetweenTries;
    if (settled && (tryAgain || !isDeepStrictEqual(prints, seen))) await load();
  };
  let looking = false;
  const timer = setInterval(() => {
    if (looking) return;
    looking = true;
    void inTurn(look).finally(() => {
      looking = false;
    });
  }, interval);
  timer.unref();
  return {
    reload: async () => inTurn(load),
    close: () => clearInterval(timer),
  };
}

/** By file, what changes when the file does, also when it is replaced by a link to another. */
async function printsOf(files: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const prints = files.map(async (file): Promise<readonly [string, string]> => {
    try {
      const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
      return [file, [dev, ino, size, mtimeNs, ctimeNs].join(' ')];
    } catch {
      return [file, 'not there'];
    }
  });
  return new Map(await Promise.all(prints));
}

/** Mistakes told at once; the rest are found when these are mended. */
const mostMistakes = 10;

function inWords(error: unknown): string {
  if (!(error instanceof DiagnosticsError)) return error instanceof Error ? error.message : String(error);
  const mistakes = error.diagnostics.filter(({ severity }) => severity === 'error').slice(0, mostMistakes);
  const lines = mistakes.map(({ range, message }) =>
    range === undefined ? message : `${range.start.line}:${range.start.column} ${message}`,
  );
  return [error.message, ...lines].join('; ');
}
