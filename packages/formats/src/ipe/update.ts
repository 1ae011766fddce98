/** May this policy replace that one: ipe_update_policy() in security/ipe/policy.c. */

import { formatIpeVersion } from './encode.ts';
import type { IpePolicy, IpeVersion } from './model.ts';

export type IpeUpdateVerdict =
  | { readonly accepted: true }
  /** ESTALE: the version is not higher; EINVAL: the name is another. */
  | { readonly accepted: false; readonly errno: 'ESTALE' | 'EINVAL'; readonly reason: string };

/** Negative when `a` is older. The parts are compared as numbers, the first that differs decides. */
export function compareIpeVersions(a: IpeVersion, b: IpeVersion): number {
  return a.major - b.major || a.minor - b.minor || a.revision - b.revision;
}

/** What the kernel answers when `next` is written to the `update` file of `current`. */
export function judgeIpeUpdate(current: IpePolicy, next: IpePolicy): IpeUpdateVerdict {
  if (current.name !== next.name) {
    const reason = `the policy is named ${next.name}, the loaded one ${current.name}`;
    return { accepted: false, errno: 'EINVAL', reason };
  }
  if (compareIpeVersions(current.version, next.version) >= 0) {
    const reason = `version ${formatIpeVersion(next.version)} is not above ${formatIpeVersion(current.version)}`;
    return { accepted: false, errno: 'ESTALE', reason };
  }
  return { accepted: true };
}
