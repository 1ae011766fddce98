/** What firmware measured of Secure Boot into PCR 7 (TCG PC Client Platform Firmware Profile 1.06, section 3.3.4.8). */

import { globalVariableGuid, imageSecurityDatabaseGuid } from '@osguard/formats/efi';
import { eventTypes, parseEventData } from '@osguard/formats/eventlog';
import type { EventLog, LogEvent, VariableData } from '@osguard/formats/eventlog';
import { secureBootPcr } from './match.ts';

export interface MeasuredKey {
  readonly event: LogEvent;
  readonly data: VariableData;
}

export interface SecureBootState {
  /** By name; of one measured twice the first. */
  readonly variables: ReadonlyMap<string, MeasuredKey>;
  /** The first event that PCR 7 is not for: unknown, out of place, or there twice. */
  readonly intruder: LogEvent | undefined;
}

const vendors: Readonly<Record<string, string>> = {
  SecureBoot: globalVariableGuid,
  PK: globalVariableGuid,
  KEK: globalVariableGuid,
  AuditMode: globalVariableGuid,
  DeployedMode: globalVariableGuid,
  db: imageSecurityDatabaseGuid,
  dbx: imageSecurityDatabaseGuid,
  dbt: imageSecurityDatabaseGuid,
  dbr: imageSecurityDatabaseGuid,
};

/** @throws FormatError when the data of an event is not what its type demands */
export function readSecureBoot(log: EventLog): SecureBootState {
  const variables = new Map<string, MeasuredKey>();
  let intruder: LogEvent | undefined;
  let ended = false;
  for (const event of log.events) {
    if (event.pcr !== secureBootPcr || event.type === eventTypes.EV_NO_ACTION) continue;
    if (event.type === eventTypes.EV_SEPARATOR) {
      ended = true;
      continue;
    }
    if (event.type === eventTypes.EV_EFI_VARIABLE_AUTHORITY) continue;
    const data = event.type === eventTypes.EV_EFI_VARIABLE_DRIVER_CONFIG ? parseEventData(event) : undefined;
    if (data?.kind === 'variable' && isKnown(data) && !variables.has(data.name)) {
      variables.set(data.name, { event, data });
      if (!ended) continue;
    }
    intruder ??= event;
  }
  return { variables, intruder };
}

function isKnown({ name, vendor }: VariableData): boolean {
  return Object.hasOwn(vendors, name) && vendors[name] === vendor;
}
