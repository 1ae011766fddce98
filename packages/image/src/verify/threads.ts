/** The threads of a verification: all cores but the one of whoever calls, who helps once there is nothing else to do. */

import { availableParallelism } from 'node:os';
import { FileThreads } from '../files/file-threads.ts';

/** Memory is slower than that many. */
const most = 7;

export function verifyThreads(): FileThreads {
  return new FileThreads(Math.min(Math.max(1, availableParallelism() - 1), most));
}
