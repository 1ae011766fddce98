/** Contradictions between parts of a definition that each are fine alone. */

import type { TextFinding } from './checked.ts';
import type { Path } from './document.ts';
import type { Definition } from './types.ts';

export function crossCheck(definition: Definition): TextFinding[] {
  return [
    ...repeated(definition.packages, (index) => ['packages', index], 'package'),
    ...repeated(
      definition.files.map(({ path }) => path),
      (index) => ['files', index, 'path'],
      'file',
    ),
    ...repeated(
      definition.users.map(({ name }) => name),
      (index) => ['users', index, 'name'],
      'user',
    ),
    ...repeated(
      definition.users.map(({ uid }) => String(uid)),
      (index) => ['users', index, 'uid'],
      'user number',
    ),
    ...repeated(
      definition.groups.map(({ name }) => name),
      (index) => ['groups', index, 'name'],
      'group',
    ),
    ...repeated(
      definition.groups.map(({ gid }) => String(gid)),
      (index) => ['groups', index, 'gid'],
      'group number',
    ),
    ...repeated(
      definition.layers.signers.map(({ name }) => name),
      (index) => ['layers', 'signers', index, 'name'],
      'signer',
    ),
    ...unitContradictions(definition),
    ...kernelContradictions(definition),
    ...withoutLayers(definition),
    ...weakened(definition),
  ];
}

function repeated(values: readonly string[], path: (index: number) => Path, what: string): TextFinding[] {
  const seen = new Set<string>();
  return values.flatMap((value, index) => {
    if (!seen.has(value)) {
      seen.add(value);
      return [];
    }
    return [
      {
        severity: 'error' as const,
        code: 'repeated',
        message: `${what} ${value} is given twice`,
        path: path(index),
      },
    ];
  });
}

function unitContradictions({ units }: Definition): TextFinding[] {
  const enabled = new Set(units.enable);
  const contradiction = (list: 'disable' | 'mask'): TextFinding[] =>
    units[list].flatMap((unit, index) =>
      enabled.has(unit)
        ? [
            {
              severity: 'error' as const,
              code: 'contradiction',
              message: `unit ${unit} is both in enable and in ${list}`,
              path: ['units', list, index],
            },
          ]
        : [],
    );
  return [...contradiction('disable'), ...contradiction('mask')];
}

function kernelContradictions({ kernel, distribution }: Definition): TextFinding[] {
  const suite = kernel.suite ?? (kernel.line === '7.x' ? 'trixie-backports' : 'trixie');
  if (!suite.endsWith('-backports') || distribution.backports) return [];
  return [
    {
      severity: 'error',
      code: 'contradiction',
      message: `the ${kernel.line} kernel comes from ${suite}, but distribution.backports is false`,
      path: kernel.suite === undefined ? ['distribution', 'backports'] : ['kernel', 'suite'],
    },
  ];
}

function withoutLayers({ layers }: Definition): TextFinding[] {
  if (layers.sandboxImage === undefined || layers.mode !== undefined) return [];
  return [
    {
      severity: 'error',
      code: 'contradiction',
      message: 'layers.sandboxImage is for hosts with signed layers, but layers.mode is not there',
      path: ['layers', 'sandboxImage'],
    },
  ];
}

/** Legal, but the image does not enforce: nobody may miss it. */
function weakened({ enforcement, layers }: Definition): TextFinding[] {
  const findings: TextFinding[] = [];
  const warn = (message: string, path: Path): void => {
    findings.push({ severity: 'warning', code: 'not-enforcing', message, path });
  };
  if (enforcement.ipe !== 'enforce')
    warn('IPE only records what it would refuse: unsigned code runs', ['enforcement', 'ipe']);
  if (enforcement.selinux !== 'enforcing')
    warn('SELinux only records what it would refuse', ['enforcement', 'selinux']);
  if (layers.mode === 'audit') warn('unsigned container layers are mounted', ['layers', 'mode']);
  return findings;
}
