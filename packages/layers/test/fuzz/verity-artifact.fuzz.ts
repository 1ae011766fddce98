import { digestOfBytes, parseDigest, parseManifest, rootHashSignatureType } from '@osguard/formats/oci';
import { parseRootHash } from '@osguard/formats/verity';
import type { FuzzTarget } from '@osguard/testkit';
import { defineFuzz } from '@osguard/testkit';
import { encodeVerityArtifact, parseVerityArtifact } from '../../src/sign/artifact.ts';
import { verityLayerMediaType } from '../../src/transport/media-type.ts';

const digest = digestOfBytes(Buffer.from('x'));
const artifact = {
  layer: { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size: 1 },
  diffId: parseDigest(digest),
  rootHash: parseRootHash('ab'.repeat(32)),
  transport: { mediaType: verityLayerMediaType, digest, size: 9 },
  signatures: [{ mediaType: rootHashSignatureType, digest, size: 7 }],
};

export const target: FuzzTarget = defineFuzz({
  name: 'verity-artifact',
  seeds: () => [encodeVerityArtifact(artifact)],
  run(bytes) {
    const manifest = parseManifest(bytes);
    return manifest.kind === 'manifest' ? parseVerityArtifact(manifest, digest) : undefined;
  },
});
