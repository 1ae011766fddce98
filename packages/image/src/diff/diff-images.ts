/** What changed between two images, from the partition table to the last file of /usr. */

import type { ByteSource } from '@osguard/formats/bytes';
import { Findings } from '../inspect/findings.ts';
import type { ImageReport } from '../inspect/index.ts';
import { inspectOpened } from '../inspect/inspect-image.ts';
import type { OpenedImage } from '../inspect/open.ts';
import { openImage } from '../inspect/open.ts';
import type { OpenedUsr } from '../inspect/usr.ts';
import { espRecords, initrdRecords } from './file-records.ts';
import { diffIpeLines } from './lines.ts';
import {
  commandLineRecords,
  ipeDecisionRecords,
  packageRecords,
  partitionRecords,
  releaseRecords,
  sectionRecords,
  selinuxRecords,
  signerRecords,
  verityRecords,
} from './parts.ts';
import type { Fields, Records } from './records.ts';
import { diffRecords } from './records.ts';
import type { ImageDiff, PartDiff } from './report.ts';
import { diffUsrFiles } from './usr-files.ts';

export interface DiffOptions {
  readonly signal?: AbortSignal;
}

interface Side {
  readonly opened: OpenedImage;
  readonly findings: Findings;
  readonly report: ImageReport;
  readonly usr: OpenedUsr | undefined;
  readonly initrd: Records;
  readonly esp: Records;
}

/**
 * Compares two targets of {@link inspectImage}; nothing is verified.
 * @throws ImageError (`not-an-image`); system errors pass; AbortError
 */
export async function diffImages(a: string, b: string, options: DiffOptions = {}): Promise<ImageDiff> {
  const findings = { a: new Findings(), b: new Findings() };
  using openedA = await openImage(a, findings.a);
  using openedB = await openImage(b, findings.b);
  // One after the other: an unpacked initrd is held only while its files are hashed.
  const left = lookAt(openedA, findings.a);
  options.signal?.throwIfAborted();
  const right = lookAt(openedB, findings.b);
  const parts = compareSides(left, right, options).filter((part) => part !== undefined);
  const all = (['a', 'b'] as const).flatMap((side) =>
    findings[side].list.map((finding) => ({ side, ...finding })),
  );
  const same = parts.length === 0 && !all.some(({ kind }) => kind === 'unreadable');
  return { a, b, same, parts, findings: all };
}

function lookAt(opened: OpenedImage, findings: Findings): Side {
  const { report, boot, usr } = inspectOpened(opened, findings);
  return {
    opened,
    findings,
    report,
    usr,
    initrd: initrdRecords(boot?.initrd?.files, findings),
    esp: espRecords(opened.esp, { findings, bootImage: opened.boot?.where }),
  };
}

function compareSides(a: Side, b: Side, options: DiffOptions): readonly (PartDiff | undefined)[] {
  const by = (id: PartDiff['id'], records: (report: ImageReport) => Records): PartDiff | undefined =>
    diffRecords(id, records(a.report), records(b.report));
  const contents = comparePartitions(a, b, options);
  const withContent = (records: Records): Records =>
    new Map(Array.from(records, ([name, fields]) => [name, { ...fields, ...contents.get(name) }]));
  return [
    by('release', releaseRecords),
    diffRecords('partitions', partitionRecords(a.report), withContent(partitionRecords(b.report))),
    diffRecords('esp-files', a.esp, b.esp),
    by('uki-sections', sectionRecords),
    by('signers', signerRecords),
    by('command-line', commandLineRecords),
    by('root-hash', verityRecords),
    diffRecords('initrd-files', a.initrd, b.initrd),
    by('ipe-decisions', ipeDecisionRecords),
    diffIpeLines(a.report, b.report),
    by('selinux', selinuxRecords),
    by('packages', packageRecords),
    compareUsr(a, b, options),
  ];
}

function compareUsr(a: Side, b: Side, options: DiffOptions): PartDiff | undefined {
  if (a.usr !== undefined && b.usr !== undefined) {
    return diffUsrFiles({ usr: a.usr, findings: a.findings }, { usr: b.usr, findings: b.findings }, options);
  }
  const whole = ({ usr }: Side): Records =>
    new Map<string, Fields>(usr && [['the whole file system', { where: usr.where }]]);
  return diffRecords('usr-files', whole(a), whole(b));
}

const chunk = 1024 * 1024;

/** Byte by byte, so that partitions nobody here can read cannot differ unseen. */
function comparePartitions(a: Side, b: Side, { signal }: DiffOptions): Records {
  const result = new Map<string, Fields>();
  for (const one of a.opened.disk?.partitions ?? []) {
    const other = b.opened.disk?.partitions.find(({ number }) => number === one.number);
    if (other === undefined || other.source.size !== one.source.size) continue;
    const where = `partition ${one.number}`;
    const at = a.findings.attempt(where, () => firstDifference(one.source, other.source, signal));
    if (at !== undefined) result.set(where, { content: `differs from byte ${at} on` });
  }
  return result;
}

function firstDifference(a: ByteSource, b: ByteSource, signal: AbortSignal | undefined): number | undefined {
  for (let at = 0; at < a.size; at += chunk) {
    signal?.throwIfAborted();
    const length = Math.min(chunk, a.size - at);
    const [left, right] = [a.read(at, length), b.read(at, length)];
    if (Buffer.compare(left, right) === 0) continue;
    return at + left.findIndex((octet, index) => octet !== right[index]);
  }
  return undefined;
}
