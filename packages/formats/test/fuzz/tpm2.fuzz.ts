import { createECDH, createPrivateKey } from 'node:crypto';
import { derElement, derTag } from '@osguard/formats/der';
import {
  akTemplateP256,
  ekProfiles,
  ekTemplateRsa2048,
  encodeAttest,
  encodeCommand,
  encodeDigestList,
  encodePcrSelections,
  encodePublicArea,
  encodeSizedPublicArea,
  ekTemplateP256,
  encodeTpmSignature,
  makeCredential,
  openCredential,
  parseAttest,
  parseCommand,
  parseDigestList,
  parseEkCertificate,
  parsePcrSelections,
  parsePublicArea,
  parseResponse,
  parseSizedPublicArea,
  parseTpmSignature,
  publicKeyOf,
  verifyTpmSignature,
} from '@osguard/formats/tpm2';
import { FormatError } from '@osguard/formats/bytes';
import type { FuzzTarget } from '@osguard/testkit';
import { defineFuzz } from '@osguard/testkit';

const name = new Uint8Array(34);
const common = {
  qualifiedSigner: name,
  extraData: new Uint8Array(32),
  clockInfo: { clock: 1n, resetCount: 1, restartCount: 0, safe: true },
  firmwareVersion: 1n,
};
const quote = encodeAttest({
  type: 'quote',
  ...common,
  pcrSelections: [{ bank: 'sha256', pcrs: [4, 7, 11] }],
  pcrDigest: new Uint8Array(32),
});
const certify = encodeAttest({ type: 'certify', ...common, name, qualifiedName: name });
const ecdsa = encodeTpmSignature({
  scheme: 'ecdsa',
  hash: 'sha256',
  r: new Uint8Array(32).fill(1),
  s: new Uint8Array(32).fill(2),
});
const rsassa = encodeTpmSignature({ scheme: 'rsassa', hash: 'sha256', signature: new Uint8Array(256) });
const response = Uint8Array.from([0x80, 2, 0, 0, 0, 19, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]);
const command = encodeCommand({
  code: 0x131,
  handles: [1],
  auths: [
    {
      session: 9,
      nonce: new Uint8Array(16),
      attributes: { continueSession: true, decrypt: true, encrypt: false },
      hmac: new Uint8Array(32),
    },
  ],
  parameters: new Uint8Array(8),
});

const ecdh = createECDH('prime256v1');
ecdh.setPrivateKey(new Uint8Array(32).fill(7));
const point = ecdh.getPublicKey();
const ek = { ...ekTemplateP256, x: point.subarray(1, 33), y: point.subarray(33) };
const credential = makeCredential(ek, {
  name,
  secret: new Uint8Array(32),
  random: (size) => new Uint8Array(size).fill(9),
});
const privateKey = createPrivateKey({
  key: {
    kty: 'EC',
    crv: 'P-256',
    d: ecdh.getPrivateKey('base64url'),
    x: ek.x.toString('base64url'),
    y: ek.y.toString('base64url'),
  },
  format: 'jwk',
});

/** Every parser of the structure reads every input: which one the bytes were meant for does not matter. */
const parsers: readonly ((bytes: Uint8Array) => unknown)[] = [
  parseAttest,
  parseDigestList,
  parsePcrSelections,
  parseEkCertificate,
  parseSizedPublicArea,
  (bytes) => verifyTpmSignature(akTemplateP256, parseTpmSignature(bytes), quote),
  (bytes) => publicKeyOf(parsePublicArea(bytes)),
  (bytes) => parseResponse(bytes, { withHandle: false }),
  (bytes) => parseResponse(bytes, { withHandle: true }),
  (bytes) => parseCommand(bytes, () => 1),
  (bytes) => openCredential({ ...credential, credential: bytes }, { ek, privateKey, name }),
  (bytes) => openCredential({ ...credential, secret: bytes }, { ek, privateKey, name }),
];

export const target: FuzzTarget = defineFuzz({
  name: 'tpm2',
  seeds: () => [
    quote,
    certify,
    ecdsa,
    rsassa,
    credential.credential,
    credential.secret,
    response,
    command,
    encodeDigestList([new Uint8Array(32), new Uint8Array(20)]),
    encodePcrSelections([{ bank: 'sha1', pcrs: [0] }]),
    ...ekProfiles.map(({ template }) => encodePublicArea(template)),
    encodePublicArea({ ...ekTemplateRsa2048, modulus: new Uint8Array(256).fill(0xc5) }),
    encodeSizedPublicArea(akTemplateP256),
    encodePublicArea({ ...akTemplateP256, x: new Uint8Array(32).fill(3), y: new Uint8Array(32).fill(4) }),
    derElement(derTag.sequence, new Uint8Array(8)),
  ],
  run(bytes) {
    let refused: unknown;
    for (const parse of parsers) {
      try {
        parse(bytes);
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        refused = error;
      }
    }
    if (refused !== undefined) throw refused;
  },
});
