import type { DemoChapter, LayersDemo } from '@osguard/machine/containers';
import type { Command } from '../command.ts';
import { defineCommand } from '../command.ts';
import { demoArguments, demoMachine, demoOptions } from '../demo-options.ts';
import { formatDuration } from '../render/format.ts';
import type { Paint } from '../render/paint.ts';
import { printable } from '../render/paint.ts';

export const layersDemo: Command = defineCommand({
  description: `Starts a registry on this machine, pushes an image and its twin, and signs the layers of the first. The release boots in a
virtual machine, and its containerd pulls and runs the signed image; the unsigned twin is refused, a program dropped into the
running container does not execute, and one bit changed in the stored layer is caught by the kernel. The release's definition must
name this machine: layers: {mode: enforce, insecureRegistries: ["10.0.2.2:5000"]}. Exit status 1 when it went otherwise.`,
  options: demoOptions,
  args: demoArguments,
  examples: [{ line: 'osguard layers demo out', does: 'one boot: what is signed runs, and nothing else' }],
  async run(values, { sink, signal, live, paint }) {
    const { demonstrateLayers } = await import('@osguard/machine/containers');
    const demo = await demonstrateLayers({
      ...(await demoMachine(values)),
      sink,
      signal,
      onChapter: (chapter) => chapterLines(chapter, paint).forEach(live),
    });
    return {
      exitCode: demo.ok ? 0 : 1,
      json: demo,
      text: (style) => summary(demo, style),
    };
  },
});

const indent = ' '.repeat(6);

const headlines: Readonly<Record<DemoChapter['id'], string>> = {
  'signed-runs': 'the signed image runs',
  'unsigned-refused': 'its unsigned twin is refused',
  'dropped-refused': 'a program dropped into the running container does not execute',
  'changed-refused': 'one bit changed in the stored layer is caught',
};

function chapterLines(chapter: DemoChapter, paint: Paint): readonly string[] {
  const { id, ok, title, evidence, kernel, control, seconds } = chapter;
  const mark = ok ? paint.green('ok    ') : paint.red('WRONG ');
  return [
    `${mark}${paint.bold(headlines[id])}, ${formatDuration(seconds * 1000)}`,
    `${indent}${printable(title)}`,
    `${indent}${paint.dim(printable(evidence))}`,
    ...kernel.slice(0, 2).map((line) => `${indent}kernel: ${paint.dim(printable(line))}`),
    ...(control === undefined ? [] : [`${indent}control: ${paint.dim(printable(control))}`]),
  ];
}

function summary({ ok, release }: LayersDemo, paint: Paint): string {
  const name = `${printable(release.name)} ${printable(release.version)}`;
  return ok
    ? paint.green(`${name} runs what is in signed layers, and nothing else`)
    : paint.red(`${name}: the demonstration went otherwise than it must`);
}
