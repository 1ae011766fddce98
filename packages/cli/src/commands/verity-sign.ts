import type { Command } from '../command.ts';
import { choiceOr, defineCommand, needed, text, textOr } from '../command.ts';
import { printable } from '../render/paint.ts';
import { rootHashFrom } from '../verity-input.ts';
import { writeWhole } from '../write-whole.ts';

export const veritySign: Command = defineCommand({
  description: `Writes a detached PKCS#7 signature over the root hash in lower-case hex, without attributes and certificates: what
dm-verity (root_hash_sig_key_desc) and systemd-veritysetup (root-hash-signature=) take.`,
  options: {
    keys: textOr('--keys <folder>', 'the key folder', 'keys'),
    role: choiceOr('--role <role>', 'who vouches for the volume', {
      choices: ['usr', 'layers'],
      fallback: 'usr',
    }),
    signer: text('--signer <name>', 'which of several signers of the role: the file name without .crt'),
    out: text('-o, --out <file>', 'where to write it (root-hash.p7s)'),
  },
  args: { rootHash: needed('<root-hash>', 'hexadecimal, or @FILE') },
  examples: [
    { line: 'osguard verity sign @usr.roothash -o usr.roothash.p7s', does: 'the signature of a /usr' },
    { line: 'osguard verity sign @layer.roothash --role layers', does: 'the signature of a container layer' },
  ],
  async run({ rootHash: given, keys, role, signer: name, out = 'root-hash.p7s' }) {
    const { loadKeyring, signRootHash } = await import('@osguard/keys');
    const rootHash = await rootHashFrom(given);
    const signer = await (await loadKeyring(keys)).signer(role, name);
    await writeWhole(out, await signRootHash(signer, rootHash));
    const by = signer.certificate.subjectText;
    return {
      json: { rootHash, signature: out, role, signer: by },
      text: (paint) => `${paint.green('signed')} ${rootHash} by ${printable(by)}: ${printable(out)}`,
    };
  },
});
