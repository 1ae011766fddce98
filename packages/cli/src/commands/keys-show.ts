import type { Command } from '../command.ts';
import { choiceOr, defineCommand, textOr } from '../command.ts';
import { printable } from '../render/paint.ts';

export const keysShow: Command = defineCommand({
  options: {
    dir: textOr('--dir <folder>', 'folder with keys, or with certificates only', 'keys'),
    kernel: choiceOr('--kernel <version>', 'kernel the abuse is told for', {
      choices: ['7.x', '6.12'],
      fallback: '7.x',
    }),
  },
  args: {},
  examples: [{ line: 'osguard keys show --kernel 6.12', does: 'what is weaker with the older kernel' }],
  async run({ dir, kernel }) {
    const { loadKeyring, describeKeys } = await import('@osguard/keys');
    const keyring = await loadKeyring(dir);
    const keys = describeKeys(keyring);
    return {
      json: { directory: keyring.directory, keys },
      async text(paint) {
        const { table } = await import('../render/table.ts');
        const blocks = keys.map((key) => {
          const title = key.name === key.role ? key.role : `${key.role} (${printable(key.name)})`;
          const rows = [
            ['subject', printable(key.subject)],
            ['sha256', key.fingerprint],
            ['valid', `${key.notBefore.slice(0, 10)} to ${key.notAfter.slice(0, 10)}`],
            ['key', `${key.algorithm}, ${key.hasPrivateKey ? 'private key here' : 'certificate only'}`],
            ['signs', key.signs],
            ['trusted by', key.trustedBy],
            ['thief could', paint.yellow(key.abuse[kernel])],
          ];
          return `${paint.bold(title)}\n${table(rows, { indent: 2 })}`;
        });
        return blocks.join('\n\n');
      },
    };
  },
});
