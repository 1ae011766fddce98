/** `node _make-layer.ts MEGABYTES FILES` writes the layer of the figures to stdout, as a tar. */

import { once } from 'node:events';
import { writeTar } from '@osguard/formats/tar';
import { layerEntries } from './_layer-entries.ts';

const [megabytes = '400', files = '12000'] = process.argv.slice(2);
for (const piece of writeTar(layerEntries(Number(megabytes) * 1e6, Number(files)))) {
  // A piece may be a view of memory that is used again.
  if (!process.stdout.write(Uint8Array.from(piece))) await once(process.stdout, 'drain');
}
