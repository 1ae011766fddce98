/**
 * A secret only the holder of a storage key can have, agreed on without asking that TPM (TPM 2.0 Library Part 1,
 * sections B.10 and C.6): for credentials (label IDENTITY) and for the salt of sessions (label SECRET).
 */

import { createECDH } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { FormatError } from '../bytes/index.ts';
import { curveSizes, hashSizes } from './algorithms.ts';
import type { TpmCurve } from './algorithms.ts';
import { kdfe } from './kdf.ts';
import { oaepDecrypt, oaepEncrypt } from './oaep.ts';
import type { TpmEccPublic, TpmRsaPublic } from './public-area.ts';
import { eccPoint, publicKeyOf } from './public-key.ts';
import { leftPad, readSized, readWhole, sized, tpmWriter } from './wire.ts';

export interface WrapOptions {
  /** What the secret is for; part of its derivation. */
  readonly label: 'IDENTITY' | 'SECRET';
  /** A source of secret random bytes. */
  readonly random: (size: number) => Uint8Array;
}

export interface WrappedSecret {
  /** As long as a digest of the key's name algorithm. */
  readonly secret: Uint8Array;
  /** TPM2B_ENCRYPTED_SECRET (Part 2, section 11.4.3), with its size. */
  readonly encrypted: Uint8Array;
}

const nodeCurves: Readonly<Record<TpmCurve, string>> = { p256: 'prime256v1', p384: 'secp384r1' };

/** @throws FormatError (`malformed`) when `area` holds no valid public key. */
export function wrapSecret(area: TpmRsaPublic | TpmEccPublic, options: WrapOptions): WrappedSecret {
  return area.type === 'rsa' ? wrapWithRsa(area, options) : wrapWithEcc(area, options);
}

/** The secret, for software that stands in for a TPM; undefined when it was not made for this key. @throws FormatError */
export function unwrapSecret(
  encrypted: Uint8Array,
  options: {
    readonly area: TpmRsaPublic | TpmEccPublic;
    readonly privateKey: KeyObject;
    readonly label: WrapOptions['label'];
  },
): Uint8Array | undefined {
  const { area, privateKey, label } = options;
  const inner = readWhole(encrypted, 'secret', (reader) => readSized(reader, 'secret', 512));
  if (area.type === 'rsa') return oaepDecrypt(privateKey, inner, { hash: area.nameAlg, label });
  const { x, y } = readWhole(inner, 'ephemeral point', (reader) => ({
    x: readSized(reader, 'x coordinate', curveSizes[area.curve]),
    y: readSized(reader, 'y coordinate', curveSizes[area.curve]),
  }));
  const ecdh = createECDH(nodeCurves[area.curve]);
  ecdh.setPrivateKey(Buffer.from(privateKey.export({ format: 'jwk' }).d ?? '', 'base64url'));
  try {
    const z = ecdh.computeSecret(eccPoint({ ...area, x, y }));
    return sharedSecret(area, { z, ephemeralX: x, label });
  } catch {
    return undefined;
  }
}

/** Part 1, section B.10.4. */
function wrapWithRsa(area: TpmRsaPublic, { label, random }: WrapOptions): WrappedSecret {
  const secret = random(hashSizes[area.nameAlg]);
  const options = { hash: area.nameAlg, label, seed: random(hashSizes[area.nameAlg]) };
  return { secret, encrypted: sized(oaepEncrypt(publicKeyOf(area), secret, options)) };
}

/** Part 1, section C.6.4: the x coordinate shared with an ephemeral key. */
function wrapWithEcc(area: TpmEccPublic, { label, random }: WrapOptions): WrappedSecret {
  // Refuses a point that is not on the curve.
  publicKeyOf(area);
  const size = curveSizes[area.curve];
  const ecdh = createECDH(nodeCurves[area.curve]);
  setPrivateKey(ecdh, () => random(size));
  const z = ecdh.computeSecret(eccPoint(area));
  const ephemeral = ecdh.getPublicKey();
  const x = ephemeral.subarray(1, 1 + size);
  const y = ephemeral.subarray(1 + size);
  const secret = sharedSecret(area, { z, ephemeralX: x, label });
  return { secret, encrypted: sized(tpmWriter().bytes(sized(x)).bytes(sized(y)).finish()) };
}

function sharedSecret(
  area: TpmEccPublic,
  parts: { readonly z: Uint8Array; readonly ephemeralX: Uint8Array; readonly label: string },
): Uint8Array {
  const size = curveSizes[area.curve];
  const input = {
    hash: area.nameAlg,
    z: leftPad(parts.z, size),
    label: parts.label,
    partyU: leftPad(parts.ephemeralX, size),
    partyV: leftPad(area.x, size),
  };
  return kdfe(input, hashSizes[area.nameAlg] * 8);
}

function setPrivateKey(ecdh: ReturnType<typeof createECDH>, next: () => Uint8Array): void {
  // A random number is no private key with a probability below 2^-32; a source that repeats itself must not hang this.
  for (let attempt = 0; attempt < 8; attempt += 1) {
    try {
      ecdh.setPrivateKey(next());
      return;
    } catch {
      // Zero, or not below the order of the curve.
    }
  }
  throw new FormatError('not-encodable', 'the random source gives no private key');
}
