/** Whether a boot ended as it must, by what the machine said and by what the verifier has on record. */

import type { CheckMessage } from '@osguard/attest/protocol';
import type { Seen } from './lab.ts';
import type { Expectation } from './scenarios.ts';

export interface BootJudgement {
  readonly ok: boolean;
  /** What had to happen and what did, for people. */
  readonly expected: string;
  readonly found: string;
  /** What says so; when it went wrong, everything that was said. */
  readonly evidence: readonly string[];
}

/** Console and verifier must agree, and everything that had to be said must have been said by one of them. */
export function judgeBoot({ outcome, trust, failed, decisions }: Seen, expect: Expectation): BootJudgement {
  const said = [
    ...(outcome.end === 'refused' ? failed.map(describeCheck) : []),
    ...decisions.map(({ kind, subject, reason }) => `${kind} ${subject} ${reason ?? ''}`.trim()),
    ...outcome.lines,
  ];
  const [reason] = outcome.end === 'refused' ? failed.map(describeCheck) : [];
  // What is refused for another reason first would be refused without what this scenario did.
  const rightReason = reason === undefined || expect.says.some((pattern) => pattern.test(reason));
  const missing = expect.says.filter((pattern) => !said.some((line) => pattern.test(line)));
  const telling = said.filter((line) => expect.says.some((pattern) => pattern.test(line)));
  const ok =
    outcome.end === expect.end &&
    (expect.trust === undefined || trust === expect.trust) &&
    missing.length === 0 &&
    rightReason;
  return {
    ok,
    expected: [expect.end, ...expect.says.map(String)].join(', '),
    found: [
      outcome.end,
      `on record: ${trust}`,
      ...missing.map((pattern) => `nothing says ${pattern}`),
      ...(rightReason ? [] : [`first of all: ${reason}`]),
    ].join(', '),
    evidence: ok ? telling : said,
  };
}

function describeCheck({ id, message, expected, found, where }: CheckMessage): string {
  return [
    `${id}: ${message}`,
    ...(expected === undefined ? [] : [`expected ${expected}`]),
    ...(found === undefined ? [] : [`found ${found}`]),
    ...(where === undefined ? [] : [`at ${where}`]),
  ].join('; ');
}
