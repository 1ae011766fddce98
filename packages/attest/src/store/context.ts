/** What the parts of the store work with. */

import type { Driver } from './driver.ts';
import type { Write } from './group-commit.ts';

export interface Context {
  /** For reading; never sees what is not committed. */
  readonly driver: Driver;
  /** Answers after the commit. */
  readonly write: <T>(body: Write<T>) => Promise<T>;
}
