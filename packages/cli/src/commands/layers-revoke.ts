import { existsSync, readFileSync } from 'node:fs';
import type { LayerRevocations } from '@osguard/formats/layer';
import type { Keyring } from '@osguard/keys';
import type { Command } from '../command.ts';
import { defineCommand, list, textOr } from '../command.ts';
import { plural } from '../render/format.ts';
import { printable } from '../render/paint.ts';
import { writeWhole } from '../write-whole.ts';

export const layersRevoke: Command = defineCommand({
  description: `Adds root hashes or signers to the signed list of revoked layers and raises its version. A host takes the list from its
verifier (a secret called layer-revocations) or from /var/lib/osguard/revocations.dsse, keeps the newest it has seen, and
opens nothing that is in it. What runs already goes on until it is stopped.`,
  options: {
    keys: textOr('--keys <folder>', 'the key folder: the role release signs the list', 'keys'),
    rootHashes: list('--root-hash <hash>', 'a root hash, as layers inspect prints it (again for more)'),
    signers: list('--signer <certificate>', 'certificate of a signer of layers, PEM or DER (again for more)'),
    reason: textOr('--reason <text>', 'why, for who reads the refusal', 'no reason given'),
  },
  args: { file: textOr('[file]', 'the list; made when it is not there', 'layer-revocations') },
  examples: [
    {
      line: 'osguard layers revoke --root-hash 4d2f… --reason "CVE-2026-1234"',
      does: 'one layer, whatever image it is in',
    },
  ],
  async run({ keys, rootHashes, signers, reason, file }) {
    const { fromHex } = await import('@osguard/formats/bytes');
    const { encodeLayerRevocations, layerRevocationsType } = await import('@osguard/formats/layer');
    const { loadKeyring, readCertificate, signDsse } = await import('@osguard/keys');
    const keyring = await loadKeyring(keys);
    const before = existsSync(file) ? await readList(file, keyring) : undefined;
    const hashes = new Map(before?.rootHashes.map((each) => [each.rootHash, each]));
    for (const rootHash of rootHashes) {
      fromHex(rootHash, '--root-hash');
      hashes.set(rootHash.toLowerCase(), { rootHash: rootHash.toLowerCase(), reason });
    }
    const fingerprints = new Map(before?.signers.map((each) => [each.fingerprint, each]));
    for (const path of signers) {
      const { fingerprint } = await readCertificate(path);
      fingerprints.set(fingerprint, { fingerprint, reason });
    }
    const next: LayerRevocations = {
      version: (before?.version ?? 0) + 1,
      issued: new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
      rootHashes: [...hashes.values()],
      signers: [...fingerprints.values()],
    };
    const payload = encodeLayerRevocations(next);
    const signer = await keyring.signer('release');
    await writeWhole(file, await signDsse(signer, { payloadType: layerRevocationsType, payload }));
    return {
      json: { file, ...next },
      text: (paint) =>
        `${paint.green('signed')} ${printable(file)}, version ${next.version}: ${plural(hashes.size, 'root hash', 'root hashes')}, ${plural(fingerprints.size, 'signer')} revoked
give it to the hosts: osguard attest secrets set layer-revocations ${printable(file)}`,
    };
  },
});

/** Only a list of one's own is added to. */
async function readList(file: string, keyring: Keyring): Promise<LayerRevocations> {
  const { FormatError } = await import('@osguard/formats/bytes');
  const { certificateDsseKey, parseDsse, verifyDsse } = await import('@osguard/formats/dsse');
  const { layerRevocationsType, parseLayerRevocations } = await import('@osguard/formats/layer');
  const envelope = parseDsse(readFileSync(file));
  const key = certificateDsseKey(keyring.certificate('release'));
  if (envelope.payloadType !== layerRevocationsType || verifyDsse(envelope, [key]).signedBy.length === 0) {
    throw new FormatError(
      'malformed',
      `${file}: no list of revoked layers signed by the role release of these keys`,
    );
  }
  return parseLayerRevocations(envelope.payload);
}
