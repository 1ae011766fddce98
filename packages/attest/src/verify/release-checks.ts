/** Is what booted a release that is allowed now, and allowed for this node? */

import type { FirmwareRule } from '@osguard/formats/reference-values';
import { compareDebianVersions } from '@osguard/formats/deb822';
import { describeEvent, eventTypes } from '@osguard/formats/eventlog';
import { brokenFirmwareRules } from '../explain/index.ts';
import type { CheckDefinition } from './check.ts';
import { Refused, RefusedFor } from './check.ts';
import { eventPlace } from './firmware-log.ts';
import { time } from './freshness.ts';
import { explainRelease } from './explain-release.ts';

/**
 * Separators and digests are looked at in every PCR, whatever a release says: log-separators and log-event-data. Drivers
 * of a machine's own hardware are the policy's matter, not the release's.
 */
function rulesToAsk(rules: readonly FirmwareRule[], drivers: readonly string[]): readonly FirmwareRule[] {
  return rules
    .filter(({ kind }) => kind !== 'separators' && kind !== 'digests')
    .map((rule) => (rule.kind === 'drivers' ? { ...rule, allowed: [...rule.allowed, ...drivers] } : rule));
}

export const firmwareCheck: CheckDefinition = {
  id: 'firmware-rules',
  claim: 'the firmware is one the policy accepts and broke none of its rules',
  run({ log, evidence, context, match }) {
    const { versions, pcr0, drivers } = context.policy.firmware;
    const value = evidence.pcrs.get(0) ?? 'no value';
    if (pcr0.length > 0 && !pcr0.includes(value)) {
      throw new Refused('the firmware is none of those the policy names', {
        expected: pcr0.slice(0, 4).join(' or '),
        found: value,
        where: 'PCR 0',
      });
    }
    if (versions.length > 0) {
      const event = log.events.find(({ type }) => type === eventTypes.EV_S_CRTM_VERSION);
      const found = event === undefined ? 'no version' : describeEvent(event);
      if (!versions.some((version) => JSON.stringify(version) === found)) {
        throw new Refused('the firmware has a version the policy does not name', {
          expected: versions.slice(0, 8).join(' or '),
          found,
          where: event === undefined ? 'PCR 0' : eventPlace(event),
        });
      }
    }
    const rules = rulesToAsk(match.release.values.firmware, drivers);
    const [first, ...rest] = brokenFirmwareRules(rules, log, 'sha256').map(({ rule, message, event }) => ({
      message: `${message}: ${rule.why}`,
      ...(event !== undefined && {
        where: `PCR ${event.pcr}, event ${event.index} (${event.type}, byte ${event.offset} of the firmware log)`,
      }),
    }));
    if (first !== undefined) throw new RefusedFor([first, ...rest]);
  },
};

export const knownCheck: CheckDefinition = {
  id: 'release-known',
  claim: 'there are releases to compare with',
  run({ context }) {
    if (context.releases.length > 0) return { found: `${context.releases.length}` };
    throw new Refused('this verifier knows no release: nothing can be trusted');
  },
};

export const releaseChecks: readonly CheckDefinition[] = [
  {
    id: 'release-measurements',
    claim: 'the machine booted exactly a release that is known here',
    run(material) {
      const { match, context } = material;
      const { manifest } = match.release;
      const name = `${manifest.name} ${manifest.version}`;
      if (match.phase !== undefined) return { found: `${name}, phase ${match.phase}` };
      const [first, ...rest] = explainRelease(material);
      const which =
        context.releases.length === 1 ? name : `${name} (the nearest of ${context.releases.length})`;
      const told = (finding: typeof first): typeof first => ({
        ...finding,
        message: `${which}: ${finding.message}`,
      });
      throw new RefusedFor([told(first), ...rest.map(told)]);
    },
  },
  {
    id: 'release-state',
    claim: 'the release is not revoked',
    run({ match: { release } }) {
      if (release.state !== 'revoked') return { found: release.state };
      throw new Refused('the release was revoked', { expected: 'promoted or deprecated', found: 'revoked' });
    },
  },
  {
    id: 'release-time',
    claim: 'the release is accepted at this time',
    run({ match: { release }, context: { now } }) {
      const { state, from, until } = release;
      if (from !== undefined && !(now >= from)) {
        throw new Refused('the release is not accepted yet', {
          expected: `from ${time(from)}`,
          found: time(now),
        });
      }
      if (until !== undefined && !(now < until)) {
        const grace =
          state === 'deprecated'
            ? 'the grace of the deprecated release is over'
            : 'the release is no longer accepted';
        throw new Refused(grace, { expected: `until ${time(until)}`, found: time(now) });
      }
      if (state === 'deprecated' && until === undefined) {
        throw new Refused('the release is deprecated, and nobody said until when it is accepted');
      }
    },
  },
  {
    id: 'release-rollback',
    claim: 'the release is not older than the policy and this node allow',
    run({ match: { release }, context: { policy }, node }) {
      const { version } = release.manifest;
      const floors = [
        policy.minimumVersion === undefined
          ? []
          : [{ floor: policy.minimumVersion, why: 'the policy allows' }],
        policy.rollbackProtection && node.last?.version !== undefined
          ? [{ floor: node.last.version, why: 'this node ran before' }]
          : [],
      ].flat();
      for (const { floor, why } of floors) {
        if (compareDebianVersions(version, floor) >= 0) continue;
        throw new Refused(`the release is older than ${why}`, {
          expected: `${floor} or newer`,
          found: version,
        });
      }
    },
  },
];
