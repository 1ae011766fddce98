/** Changes as server-sent events (WHATWG HTML section 9.2); a reader that does not keep up is let go and can resume. */

import type { ServerResponse } from 'node:http';
import type { VerifierContext } from './context.ts';
import { Refused } from './refusal.ts';
import type { Answer } from './routes/route.ts';

/** Milliseconds between comments that keep the connection open. */
const heartbeat = 15_000;
/** Bytes a reader may be behind. */
const mostBehind = 4 * 1024 * 1024;

const open = new WeakMap<VerifierContext, Set<() => void>>();

/** @throws Refused `busy` when there are too many readers */
export function streamEvents(after: number, context: VerifierContext): Answer {
  const { changes, limits } = context;
  if (changes.subscribers >= limits.subscribers)
    throw new Refused('busy', { message: 'too many event streams' });
  return { stream: (response) => follow(response, after, context) };
}

/** Ends all streams: the service stops. */
export function endStreams(context: VerifierContext): void {
  for (const end of open.get(context) ?? []) end();
}

function follow(response: ServerResponse, after: number, context: VerifierContext): void {
  const streams = open.get(context) ?? new Set();
  open.set(context, streams);
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  response.write(': from the chain of decisions\n\n');
  const beat = setInterval(() => response.write(':\n\n'), heartbeat);
  const unsubscribe = context.changes.subscribe(after, (decisions) => {
    for (const { seq, body } of decisions) response.write(`id: ${seq}\ndata: ${body}\n\n`);
    if (response.writableLength > mostBehind) response.destroy();
  });
  const end = (): void => {
    clearInterval(beat);
    unsubscribe();
    streams.delete(end);
    response.end();
  };
  streams.add(end);
  response.on('close', end);
}
