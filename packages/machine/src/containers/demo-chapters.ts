/** What is shown in the host, one chapter after the other, and whether each went as it must. */

import type { ContainerHost, Outcome } from './container-host.ts';
import { lastLine } from './container-host.ts';
import { greeting, greetingProgram } from './greeting-program.ts';

export interface DemoImage {
  /** As the host names it. */
  readonly reference: string;
  /** Of its layer; empty when nobody signed it. */
  readonly rootHash: string;
  /** Of a byte of its program, in the verity image. */
  readonly changeable: number;
}

export type DemoChapterId = 'signed-runs' | 'unsigned-refused' | 'dropped-refused' | 'changed-refused';

export interface DemoChapter {
  readonly id: DemoChapterId;
  readonly ok: boolean;
  /** What was done. */
  readonly title: string;
  /** What the host said: the program's output, or the reason of the refusal. */
  readonly evidence: string;
  /** Lines of the kernel that belong to it. */
  readonly kernel: readonly string[];
  /** For the refusals: the same where it is allowed. */
  readonly control?: string;
  readonly seconds: number;
}

const container = 'demo';
/** Where containerd keeps the root folder of a running container. */
const rootFolder = `/run/containerd/io.containerd.runtime.v2.task/default/${container}/rootfs`;
const hello = greeting.trim();

export async function* demoChapters(
  host: ContainerHost,
  { app, twin }: Readonly<Record<'app' | 'twin', DemoImage>>,
): AsyncGenerator<DemoChapter> {
  const pull = async (reference: string): Promise<Outcome> =>
    host.ctr('images', 'pull', '--snapshotter', 'osguard', '--plain-http', reference);
  const pulled = await pull(app.reference);
  const ran = pulled.ok ? await host.run(app.reference) : pulled;
  yield {
    id: 'signed-runs',
    ok: ran.ok && ran.output.includes(hello),
    title: `ctr images pull ${app.reference}, ctr run`,
    evidence: lastLine(ran.output),
    kernel: [],
    seconds: pulled.seconds + ran.seconds,
  };

  const refused = await pull(twin.reference);
  yield {
    id: 'unsigned-refused',
    ok: !refused.ok && refused.output.includes('is not signed'),
    title: `ctr images pull ${twin.reference}, the same image without signatures`,
    evidence: lastLine(refused.output),
    kernel: [],
    control: `the signed one was pulled and ran`,
    seconds: refused.seconds,
  };

  const started = await host.ctr('run', '-d', '--snapshotter', 'osguard', app.reference, container, '/wait');
  if (!started.ok) return;
  yield await droppedProgram(host);
  yield await changedBit(host, app);
  await host.ctr('tasks', 'kill', '--signal', 'SIGKILL', container);
}

/** In the running container. */
async function execute(host: ContainerHost, program: string): Promise<Outcome> {
  const id = program.replaceAll(/[^a-z]/g, '');
  return host.ctr('tasks', 'exec', '--exec-id', `${id}-${Date.now()}`, container, program);
}

async function droppedProgram(host: ContainerHost): Promise<DemoChapter> {
  const dropped = '/tmp/dropped';
  const content = Buffer.from(greetingProgram()).toString('hex');
  const copied = await host.ask('put-file', { path: `${rootFolder}${dropped}`, content, mode: '755' });
  const attempt = await execute(host, dropped);
  const control = await execute(host, '/greet');
  const kernel = attempt.kernel.filter((line) => line.includes('ipe_op=EXECUTE'));
  return {
    id: 'dropped-refused',
    ok: copied.ok && !attempt.output.includes(hello) && control.output.includes(hello) && kernel.length > 0,
    title: `a copy of its program dropped at ${dropped} in the running container, and executed`,
    evidence: lastLine(copied.ok ? attempt.output : copied.output),
    kernel,
    control: `/greet, of which it is a copy: ${lastLine(control.output)}`,
    seconds: copied.seconds + attempt.seconds + control.seconds,
  };
}

async function changedBit(host: ContainerHost, { rootHash, changeable }: DemoImage): Promise<DemoChapter> {
  const path = `/var/lib/osguard/layers/${rootHash}/layer.erofs`;
  await host.ask('drop-caches', {});
  const control = await execute(host, '/greet');
  const changed = await host.ask('change-byte', { path, offset: changeable });
  await host.ask('drop-caches', {});
  const attempt = await execute(host, '/greet');
  const kernel = attempt.kernel.filter((line) => line.includes('verity'));
  return {
    id: 'changed-refused',
    ok:
      changed.ok &&
      control.output.includes(hello) &&
      !attempt.output.includes('ran from') &&
      kernel.length > 0,
    title: `one bit changed in ${path}`,
    evidence: lastLine(changed.ok ? attempt.output : changed.output),
    kernel,
    control: `before: ${lastLine(control.output)}`,
    seconds: control.seconds + attempt.seconds,
  };
}
