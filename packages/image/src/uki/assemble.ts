/** The UKI (UAPI.5) from systemd-stub, the kernel, the initrd and the command line of the image. */

import type { ByteSource } from '@osguard/formats/bytes';
import { sourceOf } from '@osguard/formats/bytes';
import { buildUki } from '@osguard/formats/pe';
import type { Definition } from '../definition/index.ts';
import { ImageError } from '../error.ts';
import type { RootNode, RootTree } from '../tree/index.ts';
import { BodyReader } from '../tree/index.ts';
import type { InstalledKernel } from '../host/kernel.ts';

export interface AssembleUkiOptions {
  readonly kernel: InstalledKernel;
  readonly initrd: Uint8Array;
  readonly commandLine: string;
  readonly definition: Definition;
}

const stubPath = 'usr/lib/systemd/boot/efi/linuxx64.efi.stub';
/** Revoked together: a generation number goes up when an osguard UKI must no longer boot (SBAT.md of shim). */
const sbat =
  'osguard,1,osguard,osguard,1,https://uapi-group.org/specifications/specs/unified_kernel_image/\n';

/** The unsigned image. @throws ImageError (`incomplete-root`) when no package installs systemd-stub. */
export function assembleUki(tree: RootTree, options: AssembleUkiOptions): ByteSource {
  const { kernel, initrd, definition } = options;
  using bodies = new BodyReader();
  const stub = tree.lookup(stubPath);
  if (stub?.type !== 'file') {
    throw new ImageError('incomplete-root', `/${stubPath} is missing`, { hint: 'systemd-boot-efi ships it' });
  }
  const bytes = (node: RootNode): ByteSource => sourceOf(Uint8Array.from(bodies.read(node)));
  return buildUki({
    stub: bytes(stub),
    linux: bytes(kernel.node),
    initrd: sourceOf(initrd),
    cmdline: options.commandLine,
    osRelease: osRelease(definition),
    uname: kernel.release,
    sbat,
  });
}

/** os-release(5) of the boot image: boot loaders show it and sort by it. */
export function osRelease({ name, version }: Definition): string {
  return [
    'ID=osguard',
    'ID_LIKE=debian',
    'NAME="osguard"',
    `PRETTY_NAME="osguard ${name} ${version}"`,
    `VERSION_ID="${version}"`,
    `IMAGE_ID="${name}"`,
    `IMAGE_VERSION="${version}"`,
    '',
  ].join('\n');
}
