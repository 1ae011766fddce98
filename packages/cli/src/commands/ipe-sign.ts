import type { Command } from '../command.ts';
import { defineCommand, needed, text, textOr } from '../command.ts';
import { readIpeFile } from '../input.ts';
import { printable } from '../render/paint.ts';
import { writeWhole } from '../write-whole.ts';

export const ipeSign: Command = defineCommand({
  description: `The result is a PKCS#7 message with the policy inside. A policy the kernel would not accept is not signed.
Replacing a loaded policy needs the same policy_name and a higher policy_version.`,
  options: {
    keys: textOr('--keys <folder>', 'the key folder', 'keys'),
    out: text('-o, --out <file>', 'where to write it (the name of the policy with .p7b)'),
  },
  args: { policy: needed('<policy>', 'the policy as text') },
  examples: [{ line: 'osguard ipe sign host.pol -o host.p7b', does: 'a file for /etc/ipe of an initrd' }],
  async run({ policy: file, keys, out }) {
    const { formatIpeVersion } = await import('@osguard/formats/ipe');
    const { loadKeyring, signIpePolicy } = await import('@osguard/keys');
    const { policy, bytes } = await readIpeFile(file);
    const signer = await (await loadKeyring(keys)).signer('boot');
    const target = out ?? `${file.replace(/\.[^./]+$/, '')}.p7b`;
    await writeWhole(target, await signIpePolicy(signer, bytes));
    const version = formatIpeVersion(policy.version);
    const by = signer.certificate.subjectText;
    return {
      json: { file, signed: target, name: policy.name, version, signer: by },
      text: (paint) =>
        `${paint.green('signed')} ${printable(policy.name)} ${version} by ${printable(by)}: ${printable(target)}`,
    };
  },
});
