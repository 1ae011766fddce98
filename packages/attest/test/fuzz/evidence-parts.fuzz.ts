import { encodeEvidence, parseEvidence, verifyEvidence } from '@osguard/attest';
import { defineFuzz } from '@osguard/testkit';
import type { FuzzTarget } from '@osguard/testkit';
import { goodPlan, settlePlan } from '../../negative/model/baseline.ts';

const { evidence, context } = settlePlan(goodPlan());
const { quote, signature, firmwareLog, userspaceLog } = evidence;

/** What JSON hides from a mutation of the document: the binary parts, each by its first byte. */
const parts = [
  (bytes: Uint8Array) => ({ quote: bytes }),
  (bytes: Uint8Array) => ({ signature: bytes }),
  (bytes: Uint8Array) => ({ firmwareLog: bytes }),
  (bytes: Uint8Array) => ({ userspaceLog: Buffer.from(bytes).toString('utf8') }),
] as const;

export const target: FuzzTarget = defineFuzz({
  name: 'evidence-parts',
  seeds: () =>
    [quote, signature, firmwareLog, Buffer.from(userspaceLog)].map((part, index) =>
      Buffer.concat([Uint8Array.of(index), part]),
    ),
  run: (bytes) => {
    const part = parts[(bytes[0] ?? 0) % parts.length];
    const changed = { ...evidence, ...part?.(bytes.subarray(1)) };
    verifyEvidence(changed, context);
    // The other way in: an ECDSA signature or a quote that cannot be sent is none.
    if (changed.quote.length > 0 && changed.signature.length > 0 && changed.quote.length < 2000) {
      if (changed.firmwareLog.length > 0 && changed.signature.length < 2000)
        parseEvidence(encodeEvidence(changed));
    }
  },
  accepts: (error) => error instanceof Error && error.name === 'AttestError',
});
