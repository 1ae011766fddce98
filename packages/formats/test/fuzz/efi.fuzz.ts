import {
  certificateLists,
  digestLists,
  encodeSignatureLists,
  encodeVariableStore,
  globalVariableGuid,
  keyVariableAttributes,
  parseAuthenticatedVariable,
  parseSignatureLists,
  parseVariableStore,
  planAuthenticatedVariable,
  verifyAuthenticatedVariable,
} from '@osguard/formats/efi';
import { blankVariableStore, defineFuzz } from '@osguard/testkit';
import type { FuzzTarget } from '@osguard/testkit';
import { finish, makeSigner } from '../test-signer.ts';

const { key, certificate } = makeSigner('fuzz');
const owner = '11111111-2222-3333-4444-555555555555';
const lists = encodeSignatureLists([
  ...certificateLists(owner, [certificate.der]),
  ...digestLists(owner, [new Uint8Array(32), new Uint8Array(32).fill(1)]),
]);
const update = {
  name: 'db',
  vendor: globalVariableGuid,
  attributes: keyVariableAttributes,
  timestamp: 0,
  content: lists,
};
const variable = {
  name: 'PK',
  vendor: globalVariableGuid,
  attributes: 3,
  time: new Uint8Array(16),
  data: lists,
};

/** The first byte says which parser reads the rest. */
export const target: FuzzTarget = defineFuzz({
  name: 'efi',
  seeds: () => {
    const store = encodeVariableStore(blankVariableStore(8192), [variable, { ...variable, name: 'KEK' }]);
    const auth = finish({ key, certificate }, planAuthenticatedVariable(update, certificate));
    return [lists, auth, store].map((bytes, i) => Uint8Array.from([i, ...bytes]));
  },
  run(bytes) {
    const body = bytes.subarray(1);
    if (bytes[0] === 0) return parseSignatureLists(body);
    if (bytes[0] === 2) return parseVariableStore(body);
    return verifyAuthenticatedVariable(parseAuthenticatedVariable(body), update, { trusted: [certificate] });
  },
});
