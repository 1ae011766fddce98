/**
 * Every lie of the suite: what is changed in the good story, and the check that must be the first to say no. Each breaks
 * one rule and leaves the rest consistent; that nothing else catches it is what the tests show by taking that check away.
 */

import { releasesLies, secureBootLies } from './boot.ts';
import type { Lie } from './helpers.ts';
import { logsLies } from './logs.ts';
import { quoteLies } from './quote.ts';
import { attestationKeyLies, formatLies, freshnessLies } from './sender.ts';

export type { Lie } from './helpers.ts';

export const lies: readonly Lie[] = [
  ...formatLies,
  ...freshnessLies,
  ...attestationKeyLies,
  ...quoteLies,
  ...logsLies,
  ...secureBootLies,
  ...releasesLies,
];
