/**
 * Evidence of many machines that all booted the recorded host: each with its own attestation key, nonce and TLS key, and a
 * firmware log of 120 events in the four banks of the recording.
 */

import { createPublicKey, generateKeyPairSync, hash, randomBytes, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeEvidence, openReferenceRelease } from '@osguard/attest';
import type { NodeRecord, NonceRecord, Policy, ReferenceRelease } from '@osguard/attest';
import { evidenceQualifyingData } from '@osguard/attest/protocol';
import { toHex } from '@osguard/formats/bytes';
import { globalVariableGuid } from '@osguard/formats/efi';
import {
  encodeEventLog,
  encodeVariableData,
  eventTypes,
  measuredEvent,
  parseEventLog,
  replay,
} from '@osguard/formats/eventlog';
import {
  akTemplateP256,
  encodeAttest,
  encodePublicArea,
  encodeTpmSignature,
  handleName,
  keyFieldsOf,
  pcrSelectionDigest,
  publicAreaName,
  qualifiedName,
  tpmHandle,
} from '@osguard/formats/tpm2';
import type { TpmPublic } from '@osguard/formats/tpm2';
import { parseUserspaceLog, replayUserspace } from '@osguard/formats/userspace-log';
import { goodPolicy, quotedPcrs } from '../../packages/attest/negative/model/baseline.ts';
import { signRelease } from '../../packages/attest/negative/model/boot.ts';

export const fixtures: string = join(import.meta.dirname, '../../packages/attest/test/fixtures/booted-host');

export interface Machine {
  /** As it comes over the network. */
  readonly document: Uint8Array;
  readonly node: NodeRecord;
  readonly nonce: NonceRecord;
  readonly channelKey: Uint8Array;
}

export interface Fleet {
  readonly machines: readonly Machine[];
  readonly policy: Policy;
  readonly releases: readonly ReferenceRelease[];
  readonly now: number;
  readonly events: number;
  /** Bytes of one document. */
  readonly size: number;
}

const eventCount = 120;

export function makeFleet(count: number): Fleet {
  const now = Date.now();
  const policy = { ...goodPolicy(), firmware: { dbx: [], versions: [], pcr0: [], drivers: [] } };
  const referenceValues = readFileSync(join(fixtures, 'reference-values.json'));
  const { name, version }: { name: string; version: string } = JSON.parse(referenceValues.toString());
  const release = openReferenceRelease(signRelease(version, referenceValues, name), {
    trust: policy.trust.release,
    state: 'promoted',
  });
  const firmwareLog = paddedLog();
  const userspaceLog = readFileSync(join(fixtures, 'userspace.log'), 'utf8');
  const values = valuesOf(firmwareLog, userspaceLog);
  const machines = Array.from({ length: count }, () =>
    makeMachine({ firmwareLog, userspaceLog, values, now }),
  );
  const [first] = machines;
  return {
    machines,
    policy,
    releases: [release],
    now,
    events: eventCount,
    size: first?.document.length ?? 0,
  };
}

/** The recorded log with more boot variables in PCR 1, as a server has them. */
export function paddedLog(): Uint8Array {
  const { events, banks } = parseEventLog(readFileSync(join(fixtures, 'firmware.log')));
  const at = events.findIndex(({ pcr, type }) => pcr === 1 && type === eventTypes.EV_SEPARATOR);
  const padding = Array.from({ length: eventCount - events.length }, (_, index) => {
    const value = Buffer.from(
      `UEFI boot option ${index} of a machine with many devices, described at length`,
      'utf16le',
    );
    const variable = {
      vendor: globalVariableGuid,
      name: `Boot${index.toString(16).padStart(4, '0')}`,
      value,
    };
    const data = encodeVariableData(variable);
    return measuredEvent({ pcr: 1, type: eventTypes.EV_EFI_VARIABLE_BOOT, data, measured: value }, banks);
  });
  return encodeEventLog({
    format: 'crypto-agile',
    banks,
    events: [...events.slice(0, at), ...padding, ...events.slice(at)],
  });
}

export function valuesOf(firmwareLog: Uint8Array, userspaceLog: string): ReadonlyMap<number, Uint8Array> {
  const start = replay(parseEventLog(firmwareLog), 'sha256');
  const userspace = replayUserspace(parseUserspaceLog(Buffer.from(userspaceLog)), 'sha256', { start });
  return new Map(
    quotedPcrs.map((pcr) => {
      const hex = userspace.get(pcr) ?? start.get(pcr) ?? '00'.repeat(32);
      return [pcr, new Uint8Array(Buffer.from(hex, 'hex'))];
    }),
  );
}

interface Common {
  readonly firmwareLog: Uint8Array;
  readonly userspaceLog: string;
  readonly values: ReadonlyMap<number, Uint8Array>;
  readonly now: number;
}

function makeMachine({ firmwareLog, userspaceLog, values, now }: Common): Machine {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const fields = keyFieldsOf(publicKey);
  if (fields.type !== 'ecc') throw new TypeError('no ECC key');
  const area: TpmPublic = { ...akTemplateP256, ...fields };
  const tls = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const channelKey = new Uint8Array(createPublicKey(tls).export({ format: 'der', type: 'spki' }));
  const ek = randomBytes(314);
  const node = hash('sha256', ek, 'hex');
  const nonce = new Uint8Array(randomBytes(32));
  const selections = [{ bank: 'sha256', pcrs: quotedPcrs }] as const;
  const quote = encodeAttest({
    type: 'quote',
    qualifiedSigner: qualifiedName(handleName(tpmHandle.owner), area),
    extraData: evidenceQualifyingData({ nonce, tlsKey: channelKey }),
    clockInfo: { clock: 7_200_000n, resetCount: 9, restartCount: 0, safe: true },
    firmwareVersion: 1n,
    pcrSelections: selections,
    pcrDigest: pcrSelectionDigest(selections, { sha256: values }, 'sha256'),
  });
  const both = sign('sha256', quote, { key: privateKey, dsaEncoding: 'ieee-p1363' });
  const signature = encodeTpmSignature({
    scheme: 'ecdsa',
    hash: 'sha256',
    r: both.subarray(0, 32),
    s: both.subarray(32),
  });
  return {
    document: encodeEvidence({
      node,
      nonce,
      quote,
      signature,
      pcrs: new Map([...values].map(([pcr, value]) => [pcr, toHex(value)])),
      firmwareLog,
      userspaceLog,
      tlsKey: channelKey,
      agent: { version: '0.1.0' },
    }),
    node: {
      node,
      ek,
      ak: encodePublicArea(area),
      akName: toHex(publicAreaName(area)),
      state: 'enrolled',
      last: { clock: 3_600_000n, resetCount: 9, restartCount: 0, version: '0.1.0' },
    },
    nonce: { nonce, node, purpose: 'evidence', issued: now - 1000, expires: now + 240_000 },
    channelKey,
  };
}
