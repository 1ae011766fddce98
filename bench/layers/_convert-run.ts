/**
 * The process that is measured for the figures of layers: `LAYER IMAGE [KEYS]`; `-` is stdin. With a key folder, the
 * root hash is signed as well.
 */

import { writeFileSync } from 'node:fs';
import { loadKeyring, signRootHash } from '@osguard/keys';
import { convertLayer } from '@osguard/layers/convert';

const [layer = '', image = '', keys] = process.argv.slice(2);
const converted = await convertLayer(layer === '-' ? process.stdin : { file: layer }, { output: image });
if (keys !== undefined) {
  const signer = await (await loadKeyring(keys)).signer('layers');
  writeFileSync(`${image}.p7s`, await signRootHash(signer, converted.rootHash));
}
process.stdout.write(JSON.stringify({ ...converted, maxRss: process.resourceUsage().maxRSS * 1024 }));
