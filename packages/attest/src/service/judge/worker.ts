/** A judging thread: settings and requests in, judgements out, in order. */

import { parentPort } from 'node:worker_threads';
import { judge, prepareJudge } from './judge.ts';
import type { PreparedJudge } from './judge.ts';
import type { FromJudge, ToJudge } from './pool.ts';

let prepared: PreparedJudge | undefined;

parentPort?.on('message', (message: ToJudge) => {
  if (message.type === 'settings') {
    // What fails here ends the thread: there is nothing it could judge by.
    prepared = prepareJudge(message.settings);
    parentPort?.postMessage({ type: 'prepared' } satisfies FromJudge);
    return;
  }
  const { id, request } = message;
  let answer: FromJudge;
  try {
    if (prepared === undefined) throw new Error('no settings yet');
    answer = { type: 'answer', id, ok: true, judgement: judge(prepared, request) };
  } catch (error) {
    answer = {
      type: 'answer',
      id,
      ok: false,
      message: error instanceof Error ? (error.stack ?? error.message) : String(error),
    };
  }
  parentPort?.postMessage(answer);
});
