import {
  digestOfBytes,
  encodeManifest,
  nextLink,
  parseChallenges,
  parseContentRange,
  parseImageConfig,
  parseManifest,
  parseReference,
  readLayerSignatures,
} from '@osguard/formats/oci';
import type { FuzzTarget } from '@osguard/testkit';
import { defineFuzz } from '@osguard/testkit';

const digest = digestOfBytes(new Uint8Array());
const descriptor = { mediaType: 'application/x', digest, size: 1, annotations: { a: 'b' } };

export const target: FuzzTarget = defineFuzz({
  name: 'oci',
  seeds: () =>
    [
      {
        schemaVersion: 2,
        artifactType: 'application/vnd.oci.mt.pkcs7',
        config: descriptor,
        layers: [
          {
            ...descriptor,
            mediaType: 'application/vnd.oci.image.layer.v1.erofs.sig',
            annotations: {
              'image.layer.digest': digest,
              'image.layer.root_hash': '0'.repeat(64),
              'image.layer.signature': 'AAAA',
            },
          },
        ],
        subject: descriptor,
      },
      { schemaVersion: 2, manifests: [{ ...descriptor, platform: { os: 'linux', architecture: 'x' } }] },
      {
        os: 'l',
        architecture: 'a',
        config: { Cmd: ['x'], Volumes: { '/': {} } },
        rootfs: { type: 'layers', diff_ids: [digest] },
      },
      'Bearer realm="https://a/b",scope="x", Basic',
      `[::1]:5000/a/b:c@${digest}`,
      '<https://a>; rel="next"',
      'bytes 1-2/3',
    ].map((seed) => Buffer.from(typeof seed === 'string' ? seed : JSON.stringify(seed))),
  run(bytes) {
    const text = Buffer.from(bytes).toString('latin1');
    const reads = [
      (): unknown => parseImageConfig(bytes),
      (): unknown => parseChallenges(text),
      (): unknown => parseReference(text),
      (): unknown => nextLink(text),
      (): unknown => parseContentRange(text),
      (): void => {
        const manifest = parseManifest(bytes);
        encodeManifest(manifest);
        if (manifest.kind === 'manifest' && manifest.subject !== undefined) {
          readLayerSignatures(manifest, { subject: manifest.subject.digest });
        }
      },
    ];
    let failure: unknown;
    let failures = 0;
    for (const read of reads) {
      try {
        read();
      } catch (error) {
        failures += 1;
        // A typed error must not hide another reader's untyped one.
        if (failure === undefined || !(error instanceof Error && error.name === 'FormatError'))
          failure = error;
      }
    }
    if (failures >= 3) throw failure;
  },
});
