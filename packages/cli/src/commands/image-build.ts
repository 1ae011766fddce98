import type { Command } from '../command.ts';
import { defineCommand, needed, text, textOr } from '../command.ts';
import { formatBytes, formatDuration, plural } from '../render/format.ts';
import { printable } from '../render/paint.ts';

export const imageBuild: Command = defineCommand({
  description: `Chooses and fetches the packages, shapes the host, writes and signs /usr, the IPE policy, the boot image and the disk.
The release folder appears whole or not at all. With the osguard.lock of an earlier release the result is bit-identical.`,
  options: {
    file: needed('-f, --file <definition>', 'the definition'),
    keys: textOr('--keys <folder>', 'the key folder; boot, usr and release sign', 'keys'),
    out: needed('-o, --out <folder>', 'where the release is to appear; must not exist'),
    lock: text('--lock <file>', 'exactly these packages'),
  },
  args: {},
  examples: [
    {
      line: 'osguard image build -f definitions/container-host.yaml -o out',
      does: 'a release with development keys',
    },
    {
      line: 'osguard image build -f host.yaml --lock out/osguard.lock -o again',
      does: 'the same bits once more',
    },
  ],
  async run({ file, keys, out, lock }, { sink, signal }) {
    const { buildImage, defaultCacheFolder } = await import('@osguard/image');
    const { loadKeyring } = await import('@osguard/keys');
    const cacheFolder = defaultCacheFolder();
    const started = performance.now();
    const built = await buildImage({
      definition: file,
      keyring: await loadKeyring(keys),
      output: out,
      cacheFolder,
      nodeProgram: async () => {
        // Bundling loads esbuild: only hosts that run osguard-node pay for it.
        const { buildNodeExecutable } = await import('@osguard/node');
        return buildNodeExecutable({ cacheFolder, sink, signal });
      },
      sink,
      signal,
      ...(lock !== undefined && { lock }),
    });
    const { release, pruned, packages } = built;
    const { path, name, version, rootHash, manifest } = release;
    const milliseconds = Math.round(performance.now() - started);
    const sizeOf = (leaf: string): number => manifest.files.find((one) => one.path === leaf)?.size ?? 0;
    return {
      json: { release: { path, ...manifest }, packages, pruned, milliseconds },
      async text(paint) {
        const { table } = await import('../render/table.ts');
        const facts = [
          ['root hash', rootHash],
          ['kernel', printable(manifest.kernel)],
          ['packages', String(packages)],
          ['/usr', formatBytes(sizeOf('usr.erofs'))],
          ['boot image', formatBytes(sizeOf('uki.efi'))],
          ['set-ID', setIdLine(pruned.setId)],
          ['interpreters', pruned.interpreters.map((one) => one.path).join(', ') || 'none'],
        ];
        const head = `${paint.green('built')} ${printable(name)} ${version} in ${formatDuration(milliseconds)}: ${printable(path)}`;
        const next = [`osguard vm run ${out}`, `osguard prove ${out}`].map(
          (line) => `  $ ${printable(line)}`,
        );
        return [head, table(facts, { indent: 2 }), 'next:', ...next].join('\n');
      },
    };
  },
});

/** What keeps set-user-ID or set-group-ID; the rest lost it. */
function setIdLine(programs: readonly { readonly path: string; readonly kept: boolean }[]): string {
  const kept = programs.filter((program) => program.kept).map(({ path }) => path);
  const taken = programs.length - kept.length;
  const left = kept.length === 0 ? 'none' : kept.join(', ');
  return taken === 0 ? left : `${left} (taken from ${plural(taken, 'program')})`;
}
