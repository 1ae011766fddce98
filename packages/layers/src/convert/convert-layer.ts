/** An OCI layer to a verity image, in one pass over its bytes: docs/layer-format.md. */

import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { FormatError } from '@osguard/formats/bytes';
import { ErofsWriter } from '@osguard/formats/erofs';
import type { DiffId } from '@osguard/formats/layer';
import { diffIdBytes, encodeLayerHeader } from '@osguard/formats/layer';
import { createTarReader } from '@osguard/formats/tar';
import type { TreeBuilder } from '@osguard/image/verity';
import { createTreeBuilder } from '@osguard/image/verity';
import { LayerError } from '../error.ts';
import { Budget } from './budget.ts';
import { checkMediaType, readLayer } from './decompress.ts';
import { derivedUuid, layerBlockSize, layerSalt } from './format.ts';
import { LayerTree } from './layer-tree.ts';
import { createOutputFile } from '../files/output-file.ts';
import { spillTails } from './spill-tails.ts';
import type { ConvertedLayer, ConvertLayerOptions, LayerSource } from './types.ts';
import { verityTail } from './verity-tail.ts';
import { writeFully } from '../files/write-fully.ts';

/**
 * @throws LayerError; system errors, errors of the source and AbortError pass through. Nothing is left behind.
 */
export async function convertLayer(
  source: LayerSource,
  options: ConvertLayerOptions,
): Promise<ConvertedLayer> {
  const { mediaType, signal, threads } = options;
  const sourceSize = options.sourceSize ?? ('file' in source ? statSync(source.file).size : undefined);
  if (mediaType !== undefined) checkMediaType(mediaType);
  signal?.throwIfAborted();
  using output = createOutputFile(options.output);
  using tails = spillTails(output.beside('tails'));
  using verity = createTreeBuilder({
    salt: layerSalt,
    superblock: false,
    copyTo: { fd: output.fd },
    ...(threads !== undefined && { threads }),
    ...(sourceSize !== undefined && { expectedSize: sourceSize }),
  });
  const budget = new Budget(options.limits);
  const hash = createHash('sha256');
  const uuid = new Uint8Array(16);
  let header = new Uint8Array();
  const sink = {
    space: () => verity.space(),
    commit: (length: number) => verity.commit(length),
    /** The head, once everything else is there. */
    write(offset: number, bytes: Uint8Array): void {
      const head = Uint8Array.from(bytes);
      head.set(header);
      verity.patch(offset / layerBlockSize, head);
    },
  };
  const writer = new ErofsWriter(sink, {
    uuid,
    buildTime: 0,
    blockSize: layerBlockSize,
    tails,
  });
  const tree = new LayerTree(writer, budget);
  const tar = createTarReader(tree, { lenientEnd: true });
  try {
    const compression = await readLayer(source, {
      signal,
      onSource: progress(options.onProgress, sourceSize),
      consume(piece) {
        budget.read(piece.length);
        hash.update(piece);
        tar.push(piece);
      },
    });
    tar.end();
    const diffId: DiffId = `sha256:${hash.digest('hex')}`;
    checkDiffId(diffId, options.diffId);
    const { tarSize } = budget;
    uuid.set(derivedUuid(diffIdBytes(diffId)));
    header = encodeLayerHeader({ version: 1, tarSize, diffId });
    const { size: dataSize, inodes } = tree.finish();
    const { rootHash, size } = appendTree(verity, { fd: output.fd, dataSize, uuid });
    signal?.throwIfAborted();
    output.commit();
    const { dropped } = tree;
    return {
      formatVersion: 1,
      rootHash,
      diffId,
      compression,
      tarSize,
      dataSize,
      hashOffset: dataSize,
      size,
      inodes,
      dropped,
    };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new LayerError('layer-format', `this layer is refused: ${error.message}`, {
      cause: error,
      ...(error.hint !== undefined && { hint: error.hint }),
    });
  }
}

function checkDiffId(found: DiffId, expected: DiffId | undefined): void {
  if (expected === undefined || expected === found) return;
  throw new LayerError('digest', `the layer's diff ID is ${found}, expected ${expected}`, {
    exitCode: 1,
    data: { found, expected },
  });
}

interface AppendTree {
  readonly fd: number;
  /** Bytes of the image before it. */
  readonly dataSize: number;
  /** 16 bytes. */
  readonly uuid: Uint8Array;
}

/** Superblock and levels behind the image, as `veritysetup --hash-offset` expects them. */
function appendTree(
  verity: TreeBuilder,
  { fd, dataSize, uuid }: AppendTree,
): Pick<ConvertedLayer, 'rootHash' | 'size'> {
  const built = verity.finish();
  let at = dataSize;
  for (const piece of verityTail(built, uuid)) {
    writeFully(fd, piece, at);
    at += piece.length;
  }
  return { rootHash: built.rootHash, size: at };
}

/** Milliseconds. */
const progressEvery = 50;

function progress(
  onProgress: ConvertLayerOptions['onProgress'],
  sourceSize: number | undefined,
): ((bytes: number) => void) | undefined {
  if (onProgress === undefined) return undefined;
  let done = 0;
  let told = -Infinity;
  return (bytes) => {
    done += bytes;
    if (performance.now() - told < progressEvery) return;
    told = performance.now();
    onProgress(done, sourceSize);
  };
}
