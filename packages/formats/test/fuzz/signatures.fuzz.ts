import { sourceOf } from '@osguard/formats/bytes';
import { parseSignedData, planRootHashSignature, verifySignedData } from '@osguard/formats/cms';
import { defineFuzz, makePe } from '@osguard/testkit';
import type { FuzzTarget } from '@osguard/testkit';
import { planPeSignature, verifyPe } from '@osguard/formats/pe';
import { finish, makeSigner } from '../test-signer.ts';

const signer = makeSigner('fuzz');
const rootHash = 'ab'.repeat(32);

function signedImage(trailing: number): Uint8Array {
  const source = finish(signer, planPeSignature(sourceOf(makePe({ trailing })), signer.certificate));
  return Uint8Array.from(source.read(0, source.size));
}

/** CMS messages bare and inside signed images. */
export const target: FuzzTarget = defineFuzz({
  name: 'signatures',
  seeds: () => [
    finish(signer, planRootHashSignature(signer.certificate, rootHash)),
    signedImage(0),
    signedImage(5),
  ],
  run: (bytes) =>
    bytes[0] === 0x4d
      ? verifyPe(sourceOf(bytes), { trusted: [] })
      : verifySignedData(parseSignedData(bytes), {
          trusted: [signer.certificate],
          content: Buffer.from(rootHash),
        }),
});
