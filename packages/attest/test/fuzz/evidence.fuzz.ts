import { encodeEvidence, verifyEvidence } from '@osguard/attest';
import { defineFuzz } from '@osguard/testkit';
import type { FuzzTarget } from '@osguard/testkit';
import { goodPlan, settlePlan } from '../../negative/model/baseline.ts';

const { evidence, context } = settlePlan(goodPlan());

/** A verdict for whatever comes; never an error. */
export const target: FuzzTarget = defineFuzz({
  name: 'evidence',
  seeds: () => [encodeEvidence(evidence)],
  run: (bytes) => {
    const { verdict, checks } = verifyEvidence(bytes, context);
    const refused = checks.some(({ ok }) => !ok);
    if (refused !== (verdict === 'refused')) throw new Error('the verdict is not what the checks say');
  },
});
