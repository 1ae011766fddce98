import type { Command } from '../command.ts';
import { defineCommand } from '../command.ts';

export const imageSchema: Command = defineCommand({
  description: 'The document is the same with and without --json.',
  options: {},
  args: {},
  examples: [
    {
      line: 'osguard image schema > osguard.schema.json',
      does: 'then `# yaml-language-server: $schema=osguard.schema.json` as first line of a definition',
    },
  ],
  async run() {
    const { definitionJsonSchema } = await import('@osguard/image');
    const schema = definitionJsonSchema();
    return { json: schema, text: () => JSON.stringify(schema, undefined, 2) };
  },
});
