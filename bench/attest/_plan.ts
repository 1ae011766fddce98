/**
 * What verifier and load agree on before they meet: the keys of many machines that all booted the recorded host. The
 * machines share one attestation key and one TLS key. Of fewer machines than the verifier remembers keys (4,096) that
 * changes nothing of what it has to do.
 */

import { createPrivateKey, createPublicKey, generateKeyPairSync, hash } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { akTemplateP256, encodePublicArea, keyFieldsOf, publicAreaName } from '@osguard/formats/tpm2';
import type { TpmPublic } from '@osguard/formats/tpm2';
import { toHex } from '@osguard/formats/bytes';

export interface PlanFile {
  /** PKCS #8, PEM. */
  readonly attestationKey: string;
  readonly tlsKey: string;
}

export interface Plan {
  readonly attestationKey: KeyObject;
  readonly area: TpmPublic;
  readonly ak: Uint8Array;
  readonly akName: string;
  readonly tlsKey: KeyObject;
  /** SubjectPublicKeyInfo, DER. */
  readonly channelKey: Uint8Array;
}

function newKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
}

export function writePlan(folder: string): void {
  writeFileSync(
    join(folder, 'plan.json'),
    JSON.stringify({ attestationKey: newKey(), tlsKey: newKey() } satisfies PlanFile),
  );
}

export function readPlan(folder: string): Plan {
  const file: PlanFile = JSON.parse(readFileSync(join(folder, 'plan.json'), 'utf8'));
  const attestationKey = createPrivateKey(file.attestationKey);
  const fields = keyFieldsOf(createPublicKey(attestationKey));
  if (fields.type !== 'ecc') throw new TypeError('no ECC key');
  const area: TpmPublic = { ...akTemplateP256, ...fields };
  const tlsKey = createPrivateKey(file.tlsKey);
  return {
    attestationKey,
    area,
    ak: encodePublicArea(area),
    akName: toHex(publicAreaName(area)),
    tlsKey,
    channelKey: new Uint8Array(createPublicKey(tlsKey).export({ format: 'der', type: 'spki' })),
  };
}

/** Stands for the endorsement key of machine `index`; as long as one with RSA-2048. */
export function endorsementKey(index: number): Uint8Array {
  const bytes = new Uint8Array(314);
  for (let at = 0; at < bytes.length; at += 32) {
    bytes.set(
      hash('sha256', `machine ${index} ${at}`, 'buffer').subarray(0, Math.min(32, bytes.length - at)),
      at,
    );
  }
  return bytes;
}

export function nodeId(index: number): string {
  return hash('sha256', endorsementKey(index), 'hex');
}
