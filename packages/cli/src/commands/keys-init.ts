import type { Command } from '../command.ts';
import { defineCommand, flag, integer, textOr } from '../command.ts';
import { printable } from '../render/paint.ts';

export const keysInit: Command = defineCommand({
  description: `Writes <role>.key (only you may read it), <role>.crt and <role>.der into a new folder. Keys that are there are
never overwritten. Keep the folder out of version control, releases and backups that others can read.`,
  options: {
    dir: textOr('--dir <folder>', 'where the keys are to lie', 'keys'),
    name: textOr('--name <text>', "what certificates are called, before the role's name", 'osguard'),
    addMissing: flag('--add-missing', 'only make keys of roles an existing folder lacks'),
    days: integer('--days <number>', 'how long certificates are valid (3650)', { min: 1, max: 36_500 }),
  },
  args: {},
  examples: [
    { line: 'osguard keys init', does: 'development keys in ./keys' },
    {
      line: "osguard keys init --dir /srv/keys --name 'Example Ltd'",
      does: 'elsewhere, with a name of your own',
    },
  ],
  async run({ dir, name, days, addMissing }, { signal }) {
    const { addMissingKeys, initKeys, loadKeyring, describeKeys } = await import('@osguard/keys');
    const options = { name, signal, ...(days !== undefined && { validDays: days }) };
    const added = addMissing ? await addMissingKeys(dir, options) : await initKeys(dir, options);
    const keyring = await loadKeyring(dir);
    const keys = describeKeys(keyring).filter(({ role }) => added?.includes(role) ?? true);
    return {
      json: { directory: keyring.directory, keys },
      text: (paint) =>
        [
          `${paint.green('made')} ${keys.length} keys in ${printable(keyring.directory)}: ${keys.map(({ role }) => role).join(', ') || 'none was missing'}`,
          `${paint.dim('who may sign what:')} osguard keys show --dir ${printable(dir)}`,
        ].join('\n'),
    };
  },
});
