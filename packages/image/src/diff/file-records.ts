/** Files of an initrd and of an ESP as records: kind, mode, owner and digest of the content. */

import { createHash } from 'node:crypto';
import type { ByteSource } from '@osguard/formats/bytes';
import type { Findings } from '../inspect/findings.ts';
import type { OpenedEsp } from '../inspect/open.ts';
import type { InitrdFiles } from '../verify/initrd-files.ts';
import type { Fields, Records } from './records.ts';

const chunk = 1024 * 1024;

export function digestOf(body: ByteSource): string {
  const hash = createHash('sha256');
  for (let at = 0; at < body.size; at += chunk) hash.update(body.read(at, Math.min(chunk, body.size - at)));
  return hash.digest('hex');
}

export function modeText(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

export function initrdRecords(initrd: InitrdFiles | undefined, findings: Findings): Records {
  const records = new Map<string, Fields>();
  const sorted = [...(initrd?.entries ?? [])].toSorted(([a], [b]) => (a < b ? -1 : 1));
  for (const [path, entry] of sorted) {
    const { kind, mode, uid, gid, target, body, major, minor } = entry;
    const isFile = kind === 'file';
    records.set(`/${path}`, {
      kind,
      mode: modeText(mode),
      owner: `${uid}:${gid}`,
      size: isFile ? String(body.size) : undefined,
      sha256: isFile ? findings.attempt(`initrd /${path}`, () => digestOf(body)) : undefined,
      target,
      device: kind.endsWith('device') ? `${major}:${minor}` : undefined,
    });
  }
  return records;
}

/** The boot image itself is left out: its sections are compared one by one. */
export function espRecords(
  esp: OpenedEsp | undefined,
  { findings, bootImage }: { readonly findings: Findings; readonly bootImage: string | undefined },
): Records {
  const records = new Map<string, Fields>();
  if (esp === undefined) return records;
  for (const node of esp.volume.nodes) {
    if (node.kind !== 'file') continue;
    const isBoot = node.path === bootImage;
    const sha256 = isBoot
      ? undefined
      : findings.attempt(`ESP /${node.path}`, () => digestOf(esp.volume.open(node)));
    records.set(`/${node.path}`, { size: isBoot ? undefined : String(node.size), sha256 });
  }
  return records;
}
