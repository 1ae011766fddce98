/** Why the PCR values are not those of a release: the event that differs, and where the expectation comes from. */

import { toHex } from '@osguard/formats/bytes';
import { describeEvent, eventTypes } from '@osguard/formats/eventlog';
import type { Finding } from './check.ts';
import { eventPlace } from './firmware-log.ts';
import type { Material } from './material.ts';
import { recordPlace } from './userspace.ts';

type Explained = Omit<Finding, 'ok'>;

interface Found {
  readonly digest: string;
  readonly what: string;
  readonly where: string;
}

/** At least one; the first event that differs of each PCR that does. */
export function explainRelease({
  match,
  evidence,
  log,
  records,
}: Material): readonly [Explained, ...Explained[]] {
  const { values } = match.release;
  const explained = match.wrong.map((pcr): Explained => {
    const reference = values.pcrs.find((each) => each.pcr === pcr);
    const where = `PCR ${pcr}`;
    if (reference === undefined) return { message: `the reference values say nothing of PCR ${pcr}`, where };
    const found: readonly Found[] = [
      ...log.events
        .filter((event) => event.pcr === pcr && event.type !== eventTypes.EV_NO_ACTION)
        .map((event) => ({
          digest: toHex(event.digests.sha256 ?? new Uint8Array()),
          what: describeEvent(event),
          where: eventPlace(event),
        })),
      ...records
        .filter((record) => record.pcr === pcr)
        .map((record) => ({
          digest: toHex(record.digests.sha256 ?? new Uint8Array()),
          what: `${record.eventType ?? 'record'} ${record.text ?? ''}`,
          where: recordPlace(record),
        })),
    ];
    for (const [at, expected] of reference.events.entries()) {
      const event = found[at];
      if (event?.digest === expected.digest) continue;
      return {
        message: event === undefined ? `${expected.what} was not measured` : `${expected.what} differs`,
        expected: `${expected.digest} (${expected.what}; from ${expected.source})`,
        found: event === undefined ? 'nothing more' : `${event.digest} (${event.what})`,
        where: event?.where ?? where,
      };
    }
    const more = found[reference.events.length];
    if (more !== undefined) {
      return {
        message: 'something was measured that the release does not measure',
        expected: 'nothing more',
        found: `${more.digest} (${more.what})`,
        where: more.where,
      };
    }
    return {
      message: `PCR ${pcr} has a value the release never has`,
      expected: `${reference.values.ready} (ready)`,
      found: evidence.pcrs.get(pcr) ?? 'not quoted',
      where,
    };
  });
  const [first = { message: 'no phase of the release fits' }, ...rest] = explained;
  return [first, ...rest];
}
