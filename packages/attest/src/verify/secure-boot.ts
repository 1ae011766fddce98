/**
 * PCR 7 by meaning: Secure Boot was on, with exactly the keys of the release, with the revocations the policy asks for,
 * and what was started was authorised by the role boot (TCG PC Client Platform Firmware Profile 1.06, section 3.3.4.8).
 */

import { toHex } from '@osguard/formats/bytes';
import { parseSignatureLists, signatureTypes } from '@osguard/formats/efi';
import { describeEvent, eventTypes, parseEventData } from '@osguard/formats/eventlog';
import type { LogEvent } from '@osguard/formats/eventlog';
import type { CheckDefinition } from './check.ts';
import { Missing, Refused } from './check.ts';
import { eventPlace } from './firmware-log.ts';
import type { Material } from './material.ts';
import { secureBootPcr } from './match.ts';
import type { MeasuredKey } from './secure-boot-variables.ts';

/** Digests of events of this type that the release expects in PCR 7, lower-case hex. */
function expectedDigests({ match }: Material, type: string): readonly string[] {
  const reference = match.release.values.pcrs.find(({ pcr }) => pcr === secureBootPcr);
  if (reference === undefined) throw new Missing('the reference values say nothing of PCR 7');
  return reference.events.filter((event) => event.type === type).map(({ digest }) => digest);
}

function digestOf({ digests }: LogEvent): string {
  if (digests.sha256 === undefined) throw new Missing('the event has no SHA-256 digest');
  return toHex(digests.sha256);
}

function needed(material: Material, name: string): MeasuredKey {
  const variable = material.secureBoot.variables.get(name);
  if (variable === undefined) {
    throw new Refused(`firmware did not measure ${name}`, { where: `PCR ${secureBootPcr}` });
  }
  return variable;
}

export const secureBootChecks: readonly CheckDefinition[] = [
  {
    id: 'secure-boot',
    claim: 'Secure Boot was on',
    run(material) {
      const { intruder } = material.secureBoot;
      if (intruder !== undefined) {
        throw new Refused('PCR 7 has an event that is unknown, out of place, or there twice', {
          found: describeEvent(intruder),
          where: eventPlace(intruder),
        });
      }
      const { event, data } = needed(material, 'SecureBoot');
      if (data.value.length !== 1 || data.value[0] !== 1) {
        throw new Refused('Secure Boot was off', {
          expected: '01',
          found: toHex(data.value),
          where: eventPlace(event),
        });
      }
      const found = material.secureBoot.variables;
      const audit = found.get('AuditMode');
      if (audit !== undefined && audit.data.value.some((byte) => byte !== 0)) {
        throw new Refused('Secure Boot only watched (audit mode)', { where: eventPlace(audit.event) });
      }
      for (const name of ['dbt', 'dbr']) {
        const extra = found.get(name);
        if (extra !== undefined && extra.data.value.length > 0) {
          throw new Refused(`firmware trusts a key database nobody expects: ${name}`, {
            where: eventPlace(extra.event),
          });
        }
      }
    },
  },
  {
    id: 'secure-boot-keys',
    claim: 'the firmware trusts exactly the keys of the release (PK, KEK, db)',
    run(material) {
      const expected = expectedDigests(material, 'EV_EFI_VARIABLE_DRIVER_CONFIG');
      for (const name of ['PK', 'KEK', 'db']) {
        const { event } = needed(material, name);
        const digest = digestOf(event);
        if (expected.includes(digest)) continue;
        const reference = material.match.release.values.pcrs
          .find(({ pcr }) => pcr === secureBootPcr)
          ?.events.find(({ what }) => what.startsWith(`${name}:`));
        throw new Refused(`${name} holds other keys than the release expects`, {
          expected:
            reference === undefined ? expected.join(' or ') : `${reference.digest} (${reference.source})`,
          found: `${digest} (${describeKeys(needed(material, name).data.value)})`,
          where: eventPlace(event),
        });
      }
    },
  },
  {
    id: 'secure-boot-dbx',
    claim: 'the firmware refuses what has to be refused (dbx)',
    run(material) {
      const { event, data } = needed(material, 'dbx');
      const wanted = material.context.policy.firmware.dbx;
      const digest = digestOf(event);
      const asReference = expectedDigests(material, 'EV_EFI_VARIABLE_DRIVER_CONFIG').includes(digest);
      if (wanted.length === 0) {
        if (asReference) return;
        throw new Refused('dbx is not the one of the release, and the policy names no entries it must have', {
          found: digest,
          where: eventPlace(event),
        });
      }
      const refused = refusedDigests(data.value);
      const absent = wanted.filter((entry) => !refused.has(entry));
      if (absent.length === 0) return;
      throw new Refused(`dbx lacks ${absent.length} of ${wanted.length} entries the policy demands`, {
        expected: absent.slice(0, 4).join(', '),
        found: `${refused.size} entries`,
        where: eventPlace(event),
      });
    },
  },
  {
    id: 'boot-authority',
    claim: 'what was started was authorised by the role boot',
    run(material) {
      const expected = expectedDigests(material, 'EV_EFI_VARIABLE_AUTHORITY');
      let count = 0;
      for (const event of material.log.events) {
        if (event.pcr !== secureBootPcr || event.type !== eventTypes.EV_EFI_VARIABLE_AUTHORITY) continue;
        count += 1;
        if (expected.includes(digestOf(event))) continue;
        const data = parseEventData(event);
        throw new Refused('an image was started that another key than that of the role boot authorised', {
          expected: expected.join(' or ') || 'nothing',
          found: `${digestOf(event)} (${data.kind === 'variable' ? data.name : data.kind})`,
          where: eventPlace(event),
        });
      }
      if (count === 0 || expected.length === 0) {
        throw new Refused('firmware did not say who authorised what it started', {
          where: `PCR ${secureBootPcr}`,
        });
      }
    },
  },
];

function refusedDigests(dbx: Uint8Array): ReadonlySet<string> {
  return new Set(
    parseSignatureLists(dbx)
      .filter(({ type }) => type === signatureTypes.sha256)
      .flatMap(({ signatures }) => signatures.map(({ data }) => toHex(data))),
  );
}

function describeKeys(variable: Uint8Array): string {
  const lists = parseSignatureLists(variable);
  const count = (type: string): number =>
    lists.filter((list) => list.type === type).reduce((sum, { signatures }) => sum + signatures.length, 0);
  return `${count(signatureTypes.x509)} certificates, ${count(signatureTypes.sha256)} digests`;
}
