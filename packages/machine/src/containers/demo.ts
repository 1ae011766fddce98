/**
 * The demonstration: a registry on this machine, an image whose layers are signed, its unsigned twin, and the release in a
 * virtual machine. The host pulls and runs the one, refuses the other, and runs nothing that was not in a signed layer.
 * A release lets nobody in: what an administrator would type is typed by the intruder of the proof (docs/proof.md).
 */

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EventSink } from '@osguard/events';
import { step } from '@osguard/events';
import { parseReference } from '@osguard/formats/oci';
import type { ReleaseFolder } from '@osguard/image';
import type { Keyring } from '@osguard/keys';
import { openRegistry, signImage } from '@osguard/layers';
import type { ImageStore } from '@osguard/layers';
import { readHostConfiguration } from '../attest-demo/host-configuration.ts';
import { MachineError } from '../error.ts';
import { openTools } from '../tools/open.ts';
import { bootContainerHost } from './boot.ts';
import type { DemoChapter, DemoImage } from './demo-chapters.ts';
import { demoChapters } from './demo-chapters.ts';
import { greetingProgram, waitingProgram } from './greeting-program.ts';
import { startLocalRegistry } from './local-registry.ts';
import { makeImage } from './make-image.ts';
import { findChangeable } from './test-images.ts';

export interface LayersDemoOptions {
  readonly release: ReleaseFolder;
  /** Private keys of the roles boot and layers, certificates of platform and exchange. */
  readonly keyring: Keyring;
  readonly sink: EventSink;
  /** Told as soon as each is known. */
  readonly onChapter?: (chapter: DemoChapter) => void;
  readonly signal?: AbortSignal;
  /** Folder for the console of the boot, made when it is not there. */
  readonly consoles?: string;
  readonly memoryMiB?: number;
  readonly cpus?: number;
}

export interface LayersDemo {
  readonly ok: boolean;
  readonly release: { readonly name: string; readonly version: string; readonly rootHash: string };
  readonly chapters: readonly DemoChapter[];
}

/** QEMU's user network shows the loopback address of this machine to the guest as this one. */
const loopbackInGuest = '10.0.2.2';

/** @throws MachineError, LayerError, KeysError when it cannot be shown; what is shown and wrong is in the result */
export async function demonstrateLayers(options: LayersDemoOptions): Promise<LayersDemo> {
  const { release, sink, signal, consoles } = options;
  const port = registryPort(release);
  const tools = await openTools({
    sets: ['run', 'intruder', 'registry'],
    sink,
    ...(signal !== undefined && { signal }),
  });
  if (consoles !== undefined) mkdirSync(consoles, { recursive: true });
  using folder = temporaryFolder();
  await using registry = await step(sink, { id: 'registry', title: 'start a registry' }, () =>
    startLocalRegistry({ tools, folder: join(folder.path, 'registry'), port }),
  );
  const making = { id: 'images', title: 'push an image and its unsigned twin, sign the layers of the first' };
  const images = await step(sink, making, () =>
    pushImages(registry.host, { ...options, workFolder: folder.path }),
  );
  await using booted = await bootContainerHost({
    ...options,
    tools,
    folder: folder.path,
    images: false,
    network: true,
  });
  const chapters: DemoChapter[] = [];
  for await (const chapter of demoChapters(booted.host, images)) {
    chapters.push(chapter);
    options.onChapter?.(chapter);
  }
  const { name, version, rootHash } = release;
  return { ok: chapters.every(({ ok }) => ok), release: { name, version, rootHash }, chapters };
}

async function pushImages(
  registry: string,
  { keyring, signal, workFolder }: LayersDemoOptions & { readonly workFolder: string },
): Promise<Readonly<Record<'app' | 'twin', DemoImage>>> {
  const port = registry.split(':')[1] ?? '';
  const open = async (name: string): Promise<ImageStore> =>
    openRegistry(parseReference(`${registry}/${name}`), {
      insecure: [registry],
      credentials: async () => Promise.resolve(undefined),
    });
  const files = [
    { path: 'greet', body: greetingProgram(), mode: 0o755 },
    { path: 'wait', body: waitingProgram(), mode: 0o755 },
  ];
  const inGuest = (name: string): string => `${loopbackInGuest}:${port}/${name}:1`;

  const app = await open('demo/app');
  const { digest } = await makeImage(app, { files, tag: '1' });
  const { images } = await signImage(
    { store: app, tag: '1', name: 'demo/app:1' },
    { signer: await keyring.signer('layers'), workFolder, signal },
  );
  const rootHash = images[0]?.layers[0]?.rootHash ?? '';
  const changeable = await findChangeable(app, digest, workFolder);
  await app.close();

  const twin = await open('demo/twin');
  // The same programs; one more file makes its layer another one.
  await makeImage(twin, { files: [...files, { path: 'twin', body: Buffer.from('unsigned\n') }], tag: '1' });
  await twin.close();
  return {
    app: { reference: inGuest('demo/app'), rootHash, changeable },
    twin: { reference: inGuest('demo/twin'), rootHash: '', changeable: 0 },
  };
}

/** Port on this machine at which the release looks for a registry without TLS. */
function registryPort(release: ReleaseFolder): number {
  const layers = readHostConfiguration(release)?.layers;
  const example = `layers: {mode: enforce, insecureRegistries: ["${loopbackInGuest}:5000"]}`;
  const port = (layers?.insecureRegistries ?? [])
    .map((registry) => registry.split(':'))
    .find(([host]) => host === loopbackInGuest)?.[1];
  if (layers?.mode === 'enforce' && port !== undefined) return Number(port);
  const lacks =
    layers?.mode === 'enforce' ? `knows no registry at ${loopbackInGuest}` : 'runs unsigned layers';
  throw new MachineError('bad-option', `${release.name} ${release.version} ${lacks}`, {
    hint: `for the demonstration build it with ${example}`,
  });
}

function temporaryFolder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'osguard-layers-'));
  const remove = (): void => rmSync(path, { recursive: true, force: true });
  process.once('exit', remove);
  return {
    path,
    [Symbol.dispose]: () => {
      process.removeListener('exit', remove);
      remove();
    },
  };
}
