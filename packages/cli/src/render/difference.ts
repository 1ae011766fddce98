/** What `image diff` found, as a tree for people: one branch a part, one line an entry, `+` came, `-` went, `~` changed. */

import type { DiffEntry, FieldDiff, ImageDiff, PartDiff, PartId } from '@osguard/image';
import { formatBytes } from './format.ts';
import type { Paint } from './paint.ts';
import { printable } from './paint.ts';
import type { TreeNode } from './tree.ts';
import { renderTree } from './tree.ts';

export interface DifferenceOptions {
  readonly paint: Paint;
  /** List everything instead of the first entries of each part. */
  readonly all: boolean;
}

const few = 15;
/** Changed fields of an entry that share its line. */
const inOneLine = 2;
/** Characters of a digest that tell two apart for the eye. */
const digestShown = 12;
/** Characters of any other value; the whole is in the JSON. */
const valueShown = 80;

const titles: Readonly<Record<PartId, string>> = {
  release: 'release',
  partitions: 'partitions',
  'esp-files': 'files of the EFI system partition',
  'uki-sections': 'sections of the boot image',
  signers: 'signers',
  'command-line': 'command line',
  'root-hash': 'dm-verity',
  'initrd-files': 'files of the initrd',
  'ipe-decisions': 'what IPE decides',
  'ipe-lines': 'lines of the IPE policy',
  selinux: 'SELinux',
  packages: 'packages',
  'usr-files': 'files of /usr',
};

export function renderDifference(diff: ImageDiff, { paint, all }: DifferenceOptions): string {
  const { a, b, same, parts, findings } = diff;
  const lines: string[] = [];
  if (parts.length > 0) {
    const head = `${paint.red(`- ${printable(a)}`)}  ${paint.green(`+ ${printable(b)}`)}`;
    lines.push(
      renderTree({ label: head, children: parts.map((part) => partNode(part, { paint, all })) }, paint),
    );
  }
  if (findings.length > 0) {
    const shown = findings.map(
      ({ side, where, message }) =>
        `  ${printable(side === 'a' ? a : b)}: ${printable(where)}: ${printable(message)}`,
    );
    lines.push('', paint.yellow('not as it should be, or not readable:'), ...shown);
  }
  if (same) lines.push(paint.green('no difference'));
  else if (parts.length === 0) {
    lines.push('', paint.red('no difference was found, but not everything could be read'));
  }
  return lines.join('\n').replace(/^\n/, '');
}

function partNode(part: PartDiff, { paint, all }: DifferenceOptions): TreeNode {
  const counts = [
    part.changed > 0 ? paint.yellow(`~${part.changed}`) : '',
    part.removed > 0 ? paint.red(`-${part.removed}`) : '',
    part.added > 0 ? paint.green(`+${part.added}`) : '',
  ].filter((text) => text !== '');
  const shown = all || part.entries.length <= few + 1 ? part.entries : part.entries.slice(0, few);
  const children: TreeNode[] = shown.map((entry) => entryNode(entry, paint));
  const rest = part.entries.length - shown.length + part.omitted;
  if (rest > 0) {
    children.push({ label: paint.dim(`… and ${rest} more${all ? '' : ' (--all)'}`) });
  }
  return { label: `${paint.bold(titles[part.id])} ${counts.join(' ')}`, children };
}

function entryNode({ change, name, fields }: DiffEntry, paint: Paint): TreeNode {
  if (change === 'changed') {
    const changes = fields.map((field) => changeText(field, paint));
    const head = `${paint.yellow('~')} ${printable(name)}`;
    if (changes.length <= inOneLine) return { label: `${head}: ${changes.join(', ')}` };
    return { label: head, children: changes.map((label) => ({ label })) };
  }
  const side = change === 'added' ? 'after' : 'before';
  const facts = fields
    .filter(({ field }) => !['license', 'sha256'].includes(field))
    .map((one) => valueText(one.field, one[side]))
    .filter((value) => value !== '');
  const mark = change === 'added' ? paint.green('+') : paint.red('-');
  return {
    label: `${mark} ${printable(name)}${facts.length === 0 ? '' : paint.dim(`  ${facts.join(' ')}`)}`,
  };
}

function changeText({ field, before, after }: FieldDiff, paint: Paint): string {
  if (field === 'content') return `content ${printable(after ?? '')}`;
  const arrow = paint.unicode ? '→' : '->';
  let [from, to] = [valueText(field, before), valueText(field, after)];
  // Two sizes that look alike when rounded are shown in bytes.
  if (from === to) [from, to] = [printable(before ?? 'none'), printable(after ?? 'none')];
  return `${field === 'value' ? '' : `${printable(field)} `}${from} ${arrow} ${to}`;
}

function valueText(field: string, value: string | undefined): string {
  if (value === undefined) return 'none';
  if (['size', 'used', 'offset'].includes(field) && /^\d+$/.test(value)) return formatBytes(Number(value));
  const shortened = value.replaceAll(/\b[0-9a-f]{40,}\b/g, (digest) => `${digest.slice(0, digestShown)}…`);
  return printable(shortened.length > valueShown ? `${shortened.slice(0, valueShown)}…` : shortened);
}
