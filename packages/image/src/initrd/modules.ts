/** Kernel modules and what they depend on, read from depmod's modules.dep and modules.builtin (text forms). */

import { OsguardError } from '@osguard/events';
import type { SourceTree } from './source.ts';

/** Index files that libkmod reads at run time; the binary forms are enough. */
export const MODULE_INDEX: readonly string[] = [
  'modules.dep.bin',
  'modules.alias.bin',
  'modules.symbols.bin',
  'modules.builtin.bin',
  'modules.builtin.alias.bin',
  'modules.builtin.modinfo',
  'modules.softdep',
  'modules.weakdep',
  'modules.devname',
  'modules.order',
];

export interface ModuleRequest {
  readonly release: string;
  /** Missing ones are an error. */
  readonly required: readonly string[];
  /** Taken when this kernel has them as modules: other flavours have other drivers. */
  readonly optional: readonly string[];
}

/** `virtio-blk`, `virtio_blk.ko.xz` and `kernel/drivers/block/virtio_blk.ko` are the same module. */
function moduleName(path: string): string {
  const file = path.split('/').at(-1) ?? path;
  return file.replace(/\.ko(\.(xz|zst|gz))?$/, '').replaceAll('-', '_');
}

/** Paths below usr/lib/modules/RELEASE of the modules asked for and all they depend on, sorted. */
export function moduleClosure(tree: SourceTree, request: ModuleRequest): string[] {
  const folder = `usr/lib/modules/${request.release}`;
  const text = (name: string): string => {
    const node = tree.get(`${folder}/${name}`);
    if (node === undefined) {
      throw new OsguardError('initrd-modules-missing', `/${folder}/${name} is missing`, {
        hint: 'the kernel package is not installed completely, or depmod did not run',
      });
    }
    return new TextDecoder().decode(node.body());
  };
  const dependencies = new Map<string, { readonly path: string; readonly needs: readonly string[] }>();
  for (const line of text('modules.dep').split('\n')) {
    const [path, rest] = line.split(':', 2);
    if (path === undefined || rest === undefined) continue;
    dependencies.set(moduleName(path), { path, needs: rest.split(' ').filter((part) => part !== '') });
  }
  const builtin = new Set(text('modules.builtin').split('\n').map(moduleName));
  const found = new Set<string>();
  const add = (name: string, required: boolean): void => {
    const entry = dependencies.get(moduleName(name));
    if (entry !== undefined) {
      found.add(entry.path);
      for (const path of entry.needs) found.add(path);
    } else if (required && !builtin.has(moduleName(name))) {
      throw new OsguardError('initrd-module-missing', `kernel ${request.release} has no module ${name}`, {
        hint: 'choose a kernel that has it, as a module or built in',
        data: { module: name },
      });
    }
  };
  for (const name of request.required) add(name, true);
  for (const name of request.optional) add(name, false);
  return [...found].sort();
}
