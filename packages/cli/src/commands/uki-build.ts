import type { ByteSource } from '@osguard/formats/bytes';
import type { Command } from '../command.ts';
import { defineCommand, needed, text, textOr } from '../command.ts';
import { parsing, readInput } from '../input.ts';
import { formatBytes } from '../render/format.ts';
import { printable } from '../render/paint.ts';
import { UsageError } from '../report.ts';
import { writeWhole } from '../write-whole.ts';

export const ukiBuild: Command = defineCommand({
  description: 'The same input and key give the same bytes. Without --keys the image is not signed.',
  options: {
    linux: needed('--linux <file>', 'the kernel (a PE image, as distributions ship it)'),
    initrd: text('--initrd <file>', 'the initrd'),
    ucode: text('--ucode <file>', 'microcode, an uncompressed cpio'),
    cmdline: text('--cmdline <text>', 'kernel command line, or @FILE'),
    osRelease: text('--os-release <file>', 'os-release of the image'),
    uname: text('--uname <version>', "the kernel's version"),
    sbat: text('--sbat <file>', 'SBAT lines to add'),
    stub: textOr('--stub <file>', 'systemd-stub', '/usr/lib/systemd/boot/efi/linuxx64.efi.stub'),
    keys: text('--keys <folder>', 'key folder; the boot key signs'),
    out: needed('-o, --out <file>', 'the image to write'),
  },
  args: {},
  examples: [
    {
      line: "osguard uki build --linux vmlinuz --initrd initrd.img --cmdline 'quiet' --keys keys -o host.efi",
      does: 'a signed image',
    },
  ],
  async run(values) {
    const { openFileSource } = await import('@osguard/image');
    const { buildUki } = await import('@osguard/formats/pe');
    using stack = new DisposableStack();
    const source = (file: string): ByteSource => stack.use(openFileSource(file));
    const stub = source(values.stub);
    const linux = source(values.linux);
    const parts = {
      stub,
      linux,
      ...(values.initrd !== undefined && { initrd: source(values.initrd) }),
      ...(values.ucode !== undefined && { ucode: source(values.ucode) }),
      ...(values.cmdline !== undefined && { cmdline: await textFrom(values.cmdline) }),
      ...(values.osRelease !== undefined && { osRelease: await textOf(values.osRelease, 'an os-release') }),
      ...(values.uname !== undefined && { uname: values.uname }),
      ...(values.sbat !== undefined && { sbat: await textOf(values.sbat, 'a list of SBAT lines') }),
    };
    const unsigned = parsing(values.linux, () => buildUki(parts));
    const { image, signer } = await signed(unsigned, values.keys);
    await writeWhole(values.out, piecesOf(image));
    return {
      json: { out: values.out, size: image.size, signer: signer ?? null },
      text: (paint) => {
        const by = signer === undefined ? paint.yellow('not signed') : `signed by ${printable(signer)}`;
        return `${paint.green('wrote')} ${printable(values.out)}: ${formatBytes(image.size)}, ${by}`;
      },
    };
  },
});

async function signed(
  image: ByteSource,
  keys: string | undefined,
): Promise<{ image: ByteSource; signer?: string }> {
  if (keys === undefined) return { image };
  const { loadKeyring, signPe } = await import('@osguard/keys');
  const signer = await (await loadKeyring(keys)).signer('boot');
  return { image: await signPe(signer, image), signer: signer.certificate.subjectText };
}

async function textFrom(given: string): Promise<string> {
  if (!given.startsWith('@')) return given;
  const content = (await textOf(given.slice(1), 'a file with a command line')).trimEnd();
  if (content.includes('\n')) throw new UsageError(`${given.slice(1)}: a command line is one line`);
  return content;
}

async function textOf(file: string, what: string): Promise<string> {
  return (await readInput(file, { most: 1024 * 1024, what })).toString('utf8');
}

/** The parts are read while the whole is written. */
function* piecesOf(source: ByteSource): Generator<Uint8Array> {
  const piece = 4 * 1024 * 1024;
  for (let at = 0; at < source.size; at += piece) yield source.read(at, Math.min(piece, source.size - at));
}
