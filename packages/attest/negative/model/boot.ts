/** What the machine of the suite boots, and the two signed files of a release that expects exactly that. */

import { sign } from 'node:crypto';
import { toHex } from '@osguard/formats/bytes';
import { planDsse } from '@osguard/formats/dsse';
import { describeEvent, eventTypeName, eventTypes, parseEventLog } from '@osguard/formats/eventlog';
import { encodeReferenceValues, phaseValues } from '@osguard/formats/reference-values';
import type { ExpectedEvent, FirmwareRule } from '@osguard/formats/reference-values';
import { encodeRelease, releasePayloadType } from '@osguard/formats/release';
import type { EncodableRecord } from '@osguard/formats/userspace-log';
import type { Certificate } from '@osguard/formats/x509';
import type { ReferenceRelease } from '../../src/release/types.ts';
import { keyUsageBits, makeCertificate, privateKey } from './keys.ts';
import { bootLog, encodeLog, sha256 } from './log.ts';
import type { ModelBoot } from './log.ts';

export const certificates: Readonly<
  Record<'platform' | 'exchange' | 'boot' | 'otherRole' | 'release', Certificate>
> = {
  platform: makeCertificate({ name: 'suite platform', key: 'platform' }),
  exchange: makeCertificate({ name: 'suite exchange', key: 'exchange' }),
  boot: makeCertificate({ name: 'suite boot', key: 'db' }),
  otherRole: makeCertificate({ name: 'suite usr', key: 'otherRole' }),
  release: makeCertificate({
    name: 'suite release',
    key: 'release',
    keyUsage: keyUsageBits.digitalSignature,
  }),
};

export const revokedImage: string = toHex(sha256('an image with a hole'));

export const goodBoot: ModelBoot = {
  platform: certificates.platform.der,
  exchange: certificates.exchange.der,
  db: [certificates.boot.der],
  dbx: [revokedImage],
  commandLine: 'usrhash=00 lockdown=integrity',
  image: 'boot image of 1.1',
  firmwareVersion: 'suite firmware 1.0',
};

const phases = ['enter-initrd', 'leave-initrd', 'sysinit', 'ready'] as const;
const bootId = '5f2b8a3c9d4e4f10a1b2c3d4e5f60718';

export function phaseRecord(text: string, pcr = 11): EncodableRecord {
  return { pcr, digests: { sha256: sha256(text) }, eventType: 'phase', text, bootId };
}

/** A host that reached `ready`. */
export const goodRecords: readonly EncodableRecord[] = phases.map((phase) => phaseRecord(phase));

/** Rules as every release carries them. */
const firmwareRules: readonly FirmwareRule[] = [
  {
    id: 'no-drivers',
    kind: 'drivers',
    pcrs: [2],
    allowed: [],
    why: 'code of devices runs before the boot image',
  },
  {
    id: 'boot-attempt',
    kind: 'actions',
    pcr: 5,
    texts: ['Exit Boot Services Invocation', 'Exit Boot Services Returned with Success'],
    why: 'firmware handed the machine over once',
  },
  {
    id: 'no-applications',
    kind: 'no-event-types',
    pcrs: [0, 1, 2, 3, 5, 6],
    types: ['EV_EFI_BOOT_SERVICES_APPLICATION'],
    why: 'programs belong into PCR 4',
  },
];

export interface ReleaseSpec {
  readonly version: string;
  readonly boot: ModelBoot;
  readonly state?: ReferenceRelease['state'];
  readonly from?: number;
  readonly until?: number;
}

export interface SignedRelease {
  /** release.json. */
  readonly manifest: Uint8Array;
  /** reference-values.json. */
  readonly referenceValues: Uint8Array;
}

function expectedEvents(boot: ModelBoot, pcr: number): readonly ExpectedEvent[] {
  const { events } = parseEventLog(encodeLog(bootLog(boot)));
  const line = new Set(
    [boot.commandLine, Buffer.from(`${boot.commandLine}\0`, 'utf16le')].map((measured) =>
      toHex(sha256(measured)),
    ),
  );
  const firmware = events
    .filter((event) => event.pcr === pcr && event.type !== eventTypes.EV_NO_ACTION)
    .map((event): ExpectedEvent => {
      const digest = toHex(event.digests.sha256 ?? new Uint8Array());
      return {
        log: 'firmware',
        type: eventTypeName(event.type),
        digest,
        what: describeEvent(event),
        source: 'the boot image of the suite',
        ...(line.has(digest) && { text: boot.commandLine }),
      };
    });
  const userspace = phases.map((phase): ExpectedEvent => ({
    log: 'userspace',
    type: 'phase',
    digest: toHex(sha256(phase)),
    what: `phase ${phase}`,
    source: 'systemd-pcrphase',
    text: phase,
    begins: phase,
  }));
  return pcr === 11 ? [...firmware, ...userspace] : firmware;
}

/** reference-values.json of a release that boots `boot`. */
export function referenceValuesOf({ version, boot }: ReleaseSpec): Uint8Array {
  return encodeReferenceValues({
    name: 'host',
    version,
    bank: 'sha256',
    pcrs: [4, 7, 8, 9, 11, 12, 13, 14, 15].map((pcr) => {
      const events = expectedEvents(boot, pcr);
      return { pcr, name: `pcr-${pcr}`, events, values: phaseValues(events, 'sha256') };
    }),
    firmware: firmwareRules,
  });
}

/** Signed by the role release of the suite. */
export function signRelease(version: string, referenceValues: Uint8Array, name = 'host'): SignedRelease {
  const payload = encodeRelease({
    name,
    version,
    kernel: '7.3.1-1',
    architecture: 'amd64',
    created: '2026-11-01T00:00:00Z',
    files: [
      {
        path: 'reference-values.json',
        size: referenceValues.length,
        sha256: toHex(sha256(referenceValues)),
      },
    ],
    rootHash: 'ab'.repeat(32),
    packages: { count: 1, sha256: 'cd'.repeat(32) },
    partitions: [],
  });
  const plan = planDsse({ payloadType: releasePayloadType, payload });
  return { manifest: plan.finish(sign('sha256', plan.toSign, privateKey('release'))), referenceValues };
}

const signed = new Map<string, SignedRelease>();

/** The same bytes every time it is asked for within a run, because ECDSA signatures differ. */
export function release(spec: ReleaseSpec): SignedRelease {
  const { commandLine, image, padding } = spec.boot;
  const key = JSON.stringify([spec.version, commandLine, image, padding]);
  const known = signed.get(key) ?? signRelease(spec.version, referenceValuesOf(spec));
  signed.set(key, known);
  return known;
}
