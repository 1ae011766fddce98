/** The role `layers`: container layers that the kernel verifies. */

import { NodeError } from '../error.ts';
import type { Role } from '../role.ts';

export const runSnapshotter: Role = () =>
  Promise.reject(new NodeError('usage', 'this build does not serve layers'));
