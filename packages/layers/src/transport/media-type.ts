/** Names under which verity images travel: docs/layer-format.md, "Transport". */

/** Of the blob encodeTransport writes; also the artifact type of the manifest that has it. */
export const verityLayerMediaType = 'application/vnd.osguard.layer.verity.v1+zstd';
