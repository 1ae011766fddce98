/**
 * How each package gets into the root. dpkg would unpack them one by one, with a handful of file system syncs each;
 * most packages have nothing to say before their files are in place, so their files are simply placed, all at once,
 * and dpkg's database is told that they are unpacked. The others go through dpkg itself.
 */

import type { Control } from './deb.ts';
import { parseRelations } from './deb.ts';

export interface PlannedInstall {
  readonly name: string;
  readonly deb: string;
  readonly control: Control;
}

export interface InstallPlan {
  /** Files are placed, the database says `unpacked`. Sorted by name. */
  readonly placed: readonly PlannedInstall[];
  /** Files are placed because nothing runs without them; then dpkg unpacks them again, properly. Sorted by name. */
  readonly bootstrap: readonly PlannedInstall[];
  /** dpkg unpacks them: those of `bootstrap` and those that must not be there before. In dpkg's order. */
  readonly unpacked: readonly PlannedInstall[];
  /** Configured before everything else, in this order of groups. */
  readonly first: readonly (readonly string[])[];
  /** Trigger names and paths some package waits for. */
  readonly interests: readonly string[];
  /** Trigger names placed packages activate by being there. */
  readonly activated: readonly string[];
  /** As given: their maintainer scripts are not recorded. */
  readonly scriptless: ReadonlySet<string>;
}

export interface PlanOptions {
  /** Installed earlier, from another stage. */
  readonly installed: readonly PlannedInstall[];
  /** Packages whose maintainer scripts are left out, because osguard does what they would do. */
  readonly scriptless: ReadonlySet<string>;
}

/** Nothing works before these two: they make the accounts and the directories everything else refers to. */
const roots = ['base-passwd', 'base-files'];

export function planInstall(packages: readonly PlannedInstall[], options: PlanOptions): InstallPlan {
  const { installed, scriptless } = options;
  const sorted = packages.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const essential = essentialClosure(sorted);
  const throughDpkg = sorted.filter((entry) => needsDpkg(entry) && !scriptless.has(entry.name));
  const unpackedNames = new Set(throughDpkg.map(({ name }) => name));
  const isRoot = ({ name }: PlannedInstall): boolean => roots.includes(name);
  const placed = sorted.filter(({ name }) => !unpackedNames.has(name));
  return {
    placed,
    bootstrap: throughDpkg.filter(({ name }) => essential.has(name)),
    unpacked: [...throughDpkg.filter(isRoot), ...throughDpkg.filter((entry) => !isRoot(entry))],
    first: [
      roots.filter((name) => unpackedNames.has(name)),
      sorted.flatMap(({ name }) => (essential.has(name) && !roots.includes(name) ? [name] : [])),
    ],
    interests: unique([...installed, ...sorted].flatMap(({ control }) => interests(control))),
    activated: unique(placed.flatMap(({ control }) => directives(control, 'activate'))),
    scriptless,
  };
}

/** A preinst may divert or move files before its own arrive; an owner of triggers must be known to dpkg as such. */
function needsDpkg({ control }: PlannedInstall): boolean {
  return control.members.has('preinst') || interests(control).length > 0;
}

/** Essential packages and all they depend on. */
function essentialClosure(packages: readonly PlannedInstall[]): ReadonlySet<string> {
  const providers = new Map<string, string[]>();
  for (const { name, control } of packages) {
    for (const [provided = ''] of [[name], ...parseRelations(control.fields.get('provides'))]) {
      providers.set(provided, [...(providers.get(provided) ?? []), name]);
    }
  }
  const byName = new Map(packages.map((entry) => [entry.name, entry]));
  const closure = new Set<string>();
  const pending = packages.flatMap(({ name, control }) =>
    control.fields.get('essential') === 'yes' ? [name] : [],
  );
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (closure.has(name)) continue;
    closure.add(name);
    const fields = byName.get(name)?.control.fields;
    for (const field of ['pre-depends', 'depends']) {
      for (const alternatives of parseRelations(fields?.get(field))) {
        pending.push(...alternatives.flatMap((alternative) => providers.get(alternative) ?? []));
      }
    }
  }
  return closure;
}

/** deb-triggers(5). */
function directives(control: Control, kind: 'interest' | 'activate'): string[] {
  const text = Buffer.from(control.members.get('triggers') ?? []).toString('utf8');
  return text.split('\n').flatMap((line) => {
    const [word = '', name] = line.trim().split(/\s+/);
    return name !== undefined && word.split('-', 1)[0] === kind ? [name] : [];
  });
}

function interests(control: Control): string[] {
  return directives(control, 'interest');
}

/** The triggers whose owners have to hear of files that were placed behind dpkg's back, deb-triggers(5). */
export function triggersFor(
  { interests: known, activated }: InstallPlan,
  placed: Iterable<string>,
): readonly string[] {
  const folders = new Map(known.filter((name) => name.startsWith('/')).map((name) => [usrPath(name), name]));
  const found = new Set(known.filter((name) => activated.includes(name)));
  for (const path of placed) {
    for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1)) {
      const name = folders.get(path.slice(0, end));
      if (name !== undefined) found.add(name);
    }
  }
  return [...found].toSorted();
}

/** Without leading slash, and below usr where the root has links. */
function usrPath(path: string): string {
  const relative = path.slice(1);
  return /^(?:bin|sbin|lib|lib64)\//.test(relative) ? `usr/${relative}` : relative;
}

function unique(names: readonly string[]): readonly string[] {
  return [...new Set(names)].toSorted();
}
