/** The process that is measured for `verity-format` and `verity-verify`. */

import { fromHex } from '@osguard/formats/bytes';
import { parseRootHash } from '@osguard/formats/verity';
import { formatVerity, verifyVerity } from '@osguard/image/verity';

const [verb, data = '', tree = '', ...rest] = process.argv.slice(2);
const places = { data: { path: data }, tree: { path: tree } };
if (verb === 'format') {
  const [salt = '', uuid = ''] = rest;
  const { rootHash } = await formatVerity({ ...places, salt: fromHex(salt), uuid });
  process.stdout.write(`${rootHash}\n`);
} else {
  const verdict = await verifyVerity({ ...places, rootHash: parseRootHash(rest[0] ?? '') });
  if (!verdict.ok) throw new Error(JSON.stringify(verdict));
}
