/** What `image inspect` found, as a tree for people: disk, boot image, /usr, policies, packages. */

import type { ImageReport, IpeDecisionReport, PartitionReport, SignerReport } from '@osguard/image';
import { formatBytes, plural } from './format.ts';
import type { Paint } from './paint.ts';
import { printable } from './paint.ts';
import type { TreeNode } from './tree.ts';
import { renderTree } from './tree.ts';

export interface InspectionOptions {
  readonly paint: Paint;
  /** List everything instead of the first few. */
  readonly all: boolean;
}

const few = 8;

export function renderInspection(report: ImageReport, { paint, all }: InspectionOptions): string {
  const view = new View(paint, all);
  const { target, kind, release } = report;
  const head =
    release === undefined
      ? `${paint.bold(printable(target))}: ${kind}`
      : `${paint.bold(`${printable(release.name)} ${printable(release.version)}`)} in ${printable(target)}`;
  const children = [
    ...view.release(report),
    ...view.disk(report),
    ...view.boot(report),
    ...view.usr(report),
    ...view.policies(report),
    ...view.packages(report),
  ];
  const parts = [renderTree({ label: head, children }, paint)];
  if (report.weaker.length > 0) {
    parts.push(
      '',
      paint.yellow('weaker than it could be:'),
      ...report.weaker.map((line) => `  ${printable(line)}`),
    );
  }
  if (report.findings.length > 0) {
    const lines = report.findings.map(({ where, message }) => `  ${printable(where)}: ${printable(message)}`);
    parts.push('', paint.red('not as it should be:'), ...lines);
  }
  parts.push(
    '',
    paint.dim('Nothing of this was verified against anybody’s trust: that is `osguard image verify`.'),
  );
  return parts.join('\n');
}

class View {
  readonly #paint: Paint;
  readonly #all: boolean;

  constructor(paint: Paint, all: boolean) {
    this.#paint = paint;
    this.#all = all;
  }

  *release({ release }: ImageReport): Generator<TreeNode> {
    if (release === undefined) return;
    const { kernel, architecture, created, files, provenance } = release;
    const children = files.map(({ path, size }) => ({
      label: `${printable(path)}  ${this.#dim(formatBytes(size))}`,
    }));
    const facts = `kernel ${printable(kernel)}, ${printable(architecture)}, ${printable(created)}`;
    yield { label: `release: ${facts}`, children: this.#some(children, 'file') };
    if (provenance === undefined) return;
    const { osguard, builder, definition, packages, others } = provenance;
    const inputs = `${plural(packages, 'package')} and ${plural(others, 'other input')}`;
    yield {
      label: `provenance: osguard ${printable(osguard)}, ${inputs}`,
      children: [{ label: `builder ${printable(builder)}` }, { label: `definition sha256 ${definition}` }],
    };
  }

  *disk({ disk, esp }: ImageReport): Generator<TreeNode> {
    if (disk === undefined) return;
    const children = disk.partitions.map((partition) => ({
      label: this.#partition(partition),
      ...(esp?.partition === partition.number && {
        children: esp.files.map(({ path, size }) => ({
          label: `${printable(path)}  ${this.#dim(formatBytes(size))}`,
        })),
      }),
    }));
    yield { label: `disk: ${formatBytes(disk.size)}, GPT ${disk.guid}`, children };
  }

  *boot({ uki, initrd, verity }: ImageReport): Generator<TreeNode> {
    if (uki === undefined) return;
    const children: TreeNode[] = [
      ...this.#signers(uki.signers),
      ...(uki.digest === undefined ? [] : [{ label: `digest ${uki.digest}` }]),
    ];
    if (uki.commandLine !== undefined) {
      const words = uki.commandLine.map((word) => ({ label: printable(word) }));
      children.push({ label: 'command line', children: words });
    }
    const sections = uki.sections.map(({ name, size, sha256 }) => ({
      label: `${printable(name).padEnd(9)} ${formatBytes(size).padStart(9)}  ${this.#dim(sha256)}`,
    }));
    children.push({ label: 'sections', children: sections });
    if (initrd !== undefined) {
      const { size, unpackedSize, entries, kernelModules, volumeSigners } = initrd;
      const facts = `${formatBytes(size)} (${formatBytes(unpackedSize)} unpacked), ${plural(entries, 'entry', 'entries')}, ${plural(kernelModules, 'kernel module')}`;
      const trusts = volumeSigners.map(({ subject, fingerprint }) => ({
        label: `trusts volumes of ${printable(subject)}  ${this.#dim(fingerprint)}`,
      }));
      children.push({ label: `initrd: ${facts}`, children: trusts });
    }
    for (const signature of verity?.signatures ?? []) {
      const label = `root hash signature in ${printable(signature.where)}`;
      children.push({ label, children: this.#signers(signature.signers) });
    }
    const title = [uki.title, uki.kernel === undefined ? undefined : `kernel ${uki.kernel}`, uki.machine];
    const facts = title.filter((part) => part !== undefined).map((part) => printable(part));
    yield {
      label: `boot image ${printable(uki.where)}: ${formatBytes(uki.size)}, ${facts.join(', ')}`,
      children,
    };
  }

  *usr({ usr, verity }: ImageReport): Generator<TreeNode> {
    if (usr === undefined) return;
    const { files, directories, symlinks, bytes, unlabelled, complete } = usr;
    const facts = [
      `${formatBytes(usr.imageSize)}, ${plural(usr.inodes, 'inode')}`,
      plural(files, 'file'),
      plural(directories, 'folder'),
      plural(symlinks, 'link'),
    ];
    const children: TreeNode[] = [];
    if (verity?.rootHash !== undefined) children.push({ label: `root hash ${verity.rootHash}` });
    if (!complete) children.push({ label: this.#paint.red('damaged: only a part could be read') });
    if (unlabelled > 0)
      children.push({ label: this.#paint.yellow(`${plural(unlabelled, 'inode')} without SELinux label`) });
    const setuid = usr.setuid.map(({ path, mode, uid, gid }) => ({
      label: `${printable(path)}  ${mode.toString(8)}, owner ${uid}:${gid}`,
    }));
    children.push({
      label: `set-ID files: ${setuid.length || 'none'}`,
      children: this.#some(setuid, 'file'),
    });
    const capable = usr.capabilities.map(({ path, capabilities }) => ({
      label: `${printable(path)}  ${printable(capabilities)}`,
    }));
    children.push({
      label: `file capabilities: ${capable.length || 'none'}`,
      children: this.#some(capable, 'file'),
    });
    const interpreters = usr.interpreters.map((path) => ({ label: this.#paint.yellow(printable(path)) }));
    children.push({ label: `interpreters: ${interpreters.length || 'none'}`, children: interpreters });
    const largest = usr.largest.map(({ path, size }) => ({
      label: `${formatBytes(size).padStart(9)}  ${printable(path)}`,
    }));
    children.push({
      label: `largest files, of ${formatBytes(bytes)}`,
      children: this.#some(largest, 'file'),
    });
    yield { label: `/usr in ${printable(usr.where)}: ${facts.join(', ')}`, children };
  }

  *policies({ selinux, ipe }: ImageReport): Generator<TreeNode> {
    if (selinux !== undefined) {
      const { mode, type, policies } = selinux;
      yield {
        label: `SELinux: ${printable(mode)}, ${printable(type)}, ${policies.map((one) => printable(one)).join(', ')}`,
      };
    }
    for (const policy of ipe) {
      const decisions = policy.decisions.map((decision) => ({ label: this.#decision(decision) }));
      const label = `IPE policy ${printable(policy.name)} ${printable(policy.version)} in ${printable(policy.where)}`;
      yield { label, children: [...this.#signers(policy.signers), ...decisions] };
    }
  }

  *packages({ packages }: ImageReport): Generator<TreeNode> {
    if (packages === undefined) return;
    const children = packages.map(({ name, version, license }) => ({
      label: `${printable(name)} ${printable(version)}  ${this.#dim(printable(license))}`,
    }));
    yield { label: plural(packages.length, 'package'), children: this.#some(children, 'package') };
  }

  #partition(partition: PartitionReport): string {
    const { number, label, typeName, type, size, content, used, attributes } = partition;
    const inside =
      content === undefined
        ? ''
        : `, ${printable(content)}${used === undefined ? '' : ` (${formatBytes(used)})`}`;
    const flags = attributes.length === 0 ? '' : `, ${attributes.join(' ')}`;
    return `${number} ${printable(label)}: ${printable(typeName ?? type)}, ${formatBytes(size)}${inside}${flags}`;
  }

  #signers(signers: readonly SignerReport[]): TreeNode[] {
    if (signers.length === 0) return [{ label: this.#paint.yellow('not signed') }];
    return signers.map(({ subject, fingerprint, names, fits }) => {
      const who = printable(subject ?? names);
      const state =
        fits === false
          ? this.#paint.red(' (does NOT fit)')
          : fits === undefined
            ? ' (certificate not in the image)'
            : '';
      return {
        label: `signed by ${who}${state}${fingerprint === undefined ? '' : `  ${this.#dim(fingerprint)}`}`,
      };
    });
  }

  #decision({ op, initramfs, usr, signedVolume, unsignedVolume, elsewhere }: IpeDecisionReport): string {
    const show = (place: string, action: string): string =>
      `${place} ${action === 'ALLOW' ? this.#paint.green('allow') : this.#paint.dim('deny')}`;
    const places = [
      show('initrd', initramfs),
      ...(usr === undefined ? [] : [show('/usr', usr)]),
      show('signed volume', signedVolume),
      show('unsigned volume', unsignedVolume),
      show('elsewhere', elsewhere),
    ];
    return `${op.padEnd(16)} ${places.join(' · ')}`;
  }

  #some(nodes: readonly TreeNode[], what: string): readonly TreeNode[] {
    if (this.#all || nodes.length <= few + 1) return nodes;
    const label = this.#dim(`… and ${plural(nodes.length - few, `more ${what}`)} (--all)`);
    return [...nodes.slice(0, few), { label }];
  }

  #dim(text: string): string {
    return this.#paint.dim(text);
  }
}
