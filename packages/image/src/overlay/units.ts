/** Enabling, disabling and masking units in a tree, as systemctl(1) `--root` does: links below /etc/systemd/system. */

import type { Definition } from '../definition/index.ts';
import { ImageError } from '../error.ts';
import { BodyReader } from '../tree/index.ts';
import type { RootTree } from '../tree/index.ts';

const etc = 'etc/systemd/system';
const vendor = 'usr/lib/systemd/system';
/** `[Install]` keys whose units get a link, with the suffix of the folder it goes to. */
const linkKeys: readonly (readonly [string, string])[] = [
  ['WantedBy', 'wants'],
  ['RequiredBy', 'requires'],
  ['UpheldBy', 'upholds'],
];

export function applyUnits(tree: RootTree, units: Definition['units'], time: number): void {
  // Units first disabled, then enabled: a preset the packages brought may be replaced by another instance.
  for (const unit of units.disable) disable(tree, unit);
  for (const unit of units.enable) enable(tree, unit, { time, seen: new Set() });
  for (const unit of units.mask) mask(tree, unit, time);
}

interface EnableContext {
  readonly time: number;
  readonly seen: Set<string>;
}

function enable(tree: RootTree, unit: string, context: EnableContext): void {
  const { seen, time } = context;
  if (seen.has(unit)) return;
  seen.add(unit);
  const path = unitPath(tree, unit);
  if (path === undefined) throw missing(unit, 'enable');
  const install = installSection(tree, path);
  if (install.size === 0) {
    throw new ImageError('definition', `unit ${unit} cannot be enabled: it has no [Install] section`, {
      hint: 'it starts when another unit asks for it; drop it from units.enable, or add a unit of your own that wants it',
    });
  }
  const named = isTemplate(unit) ? withInstance(unit, install.get('DefaultInstance')?.[0]) : unit;
  const target = path.startsWith(`${etc}/`) ? undefined : `/${path}`;
  for (const [key, suffix] of linkKeys) {
    for (const by of install.get(key) ?? []) {
      tree.putLink(`${etc}/${expand(by, named)}.${suffix}/${named}`, target ?? `../${unitFile(named)}`, {
        mtime: time,
      });
    }
  }
  for (const alias of install.get('Alias') ?? []) {
    if (expand(alias, named) !== named)
      tree.putLink(`${etc}/${expand(alias, named)}`, target ?? unitFile(named), { mtime: time });
  }
  for (const also of install.get('Also') ?? []) enable(tree, expand(also, named), context);
}

function disable(tree: RootTree, unit: string): void {
  const path = unitPath(tree, unit);
  if (path === undefined) throw missing(unit, 'disable');
  const leaf = path.slice(path.lastIndexOf('/') + 1);
  for (const { path: link, node } of tree.walk(etc)) {
    if (node.type !== 'symlink') continue;
    const name = link.slice(link.lastIndexOf('/') + 1);
    const pointsAt = (node.target ?? '').split('/').at(-1) === leaf;
    const isInstall = /\.(?:wants|requires|upholds)\/[^/]+$/.test(link);
    // Aliases lie beside the unit and have another name.
    if ((isInstall && name === unit) || (pointsAt && (isInstall || name !== unit) && !isTemplate(leaf)))
      tree.remove(link);
  }
}

function mask(tree: RootTree, unit: string, time: number): void {
  const path = `${etc}/${unit}`;
  const known = tree.get(path);
  if (known !== undefined && known.type !== 'symlink') {
    throw new ImageError('definition', `unit ${unit} cannot be masked: /${path} is a file of its own`, {
      hint: 'drop either the file or the mask',
    });
  }
  tree.putLink(path, '/dev/null', { mtime: time });
}

function unitPath(tree: RootTree, unit: string): string | undefined {
  for (const leaf of new Set([unit, unitFile(unit)])) {
    for (const folder of [etc, vendor]) {
      const path = `${folder}/${leaf}`;
      const node = tree.lookup(path);
      if (node?.type === 'file') return tree.resolve(path);
    }
  }
  return undefined;
}

/** The file of an instance is its template. */
function unitFile(unit: string): string {
  return unit.replace(/@[^.]+\./, '@.');
}

function isTemplate(unit: string): boolean {
  return /@\.[a-z]+$/.test(unit);
}

function withInstance(unit: string, instance: string | undefined): string {
  if (instance === undefined) {
    throw new ImageError('definition', `unit ${unit} is a template and has no default instance`, {
      hint: `name an instance, for example ${unit.replace('@.', '@name.')}`,
    });
  }
  return unit.replace('@.', `@${instance}.`);
}

/** systemd.unit(5): the specifiers that make sense in [Install]. */
function expand(text: string, unit: string): string {
  const [, prefix = '', instance = ''] = /^([^@]+)@?(.*)\.[a-z]+$/.exec(unit) ?? [];
  return text.replaceAll('%i', instance).replaceAll('%p', prefix).replaceAll('%n', unit);
}

function installSection(tree: RootTree, path: string): ReadonlyMap<string, readonly string[]> {
  using bodies = new BodyReader();
  const node = tree.get(path);
  const keys = new Map<string, string[]>();
  let section = '';
  for (const line of node === undefined ? [] : bodies.text(node).replaceAll('\\\n', ' ').split('\n')) {
    section = /^\s*\[(.+)\]\s*$/.exec(line)?.[1] ?? section;
    const [, key, value] = /^\s*([A-Za-z]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (section !== 'Install' || key === undefined || value === undefined) continue;
    keys.set(key, value === '' ? [] : [...(keys.get(key) ?? []), ...value.split(/\s+/)]);
  }
  return keys;
}

function missing(unit: string, list: string): ImageError {
  return new ImageError(
    'definition',
    `units.${list} names ${unit}, which no package or file of the definition brings`,
    {
      hint: 'check its name, or add the package that ships it',
      data: { unit },
    },
  );
}
