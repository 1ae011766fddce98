/** The small parts of a report as records, so that two reports can be compared. */

import type { ImageReport, SignerReport } from '../inspect/index.ts';
import type { Fields, Records } from './records.ts';

export function releaseRecords({ release }: ImageReport): Records {
  if (release === undefined) return new Map();
  const { name, version, kernel, architecture, created } = release;
  return new Map([['release', { name, version, kernel, architecture, created }]]);
}

export function partitionRecords({ disk }: ImageReport): Records {
  if (disk === undefined) return new Map();
  const table: [string, Fields] = [
    'disk',
    { guid: disk.guid, size: String(disk.size), sector: String(disk.sectorSize) },
  ];
  const partitions = disk.partitions.map((one): [string, Fields] => [
    `partition ${one.number}`,
    {
      type: one.typeName ?? one.type,
      label: one.label,
      uuid: one.uuid,
      offset: String(one.offset),
      size: String(one.size),
      kind: one.content,
      used: one.used === undefined ? undefined : String(one.used),
      attributes: one.attributes.join(' '),
    },
  ]);
  return new Map([table, ...partitions]);
}

export function sectionRecords({ uki }: ImageReport): Records {
  const records = new Map<string, Fields>();
  for (const { name, size, sha256 } of uki?.sections ?? []) {
    let unique = name;
    for (let count = 2; records.has(unique); count += 1) unique = `${name} (${count})`;
    records.set(unique, { size: String(size), sha256 });
  }
  return records;
}

export function signerRecords({ uki, verity, ipe, initrd, release }: ImageReport): Records {
  const records = new Map<string, Fields>();
  const add = (name: string, signers: readonly SignerReport[]): void => {
    if (signers.length > 0) records.set(name, { signer: signers.map(signerText).join('; ') });
  };
  add('boot image', uki?.signers ?? []);
  for (const { where, signers } of verity?.signatures ?? []) add(`root hash, ${where}`, signers);
  for (const { where, signers } of ipe) add(`IPE policy, ${where}`, signers);
  for (const { path, subject, fingerprint } of initrd?.volumeSigners ?? []) {
    records.set(`trusted for volumes, /${path}`, { certificate: `${subject} ${fingerprint}` });
  }
  if (release !== undefined) records.set('release.json', { key: release.keyIds.join(' ') });
  return records;
}

function signerText({ subject, fingerprint, names, fits }: SignerReport): string {
  const doubt = fits === false ? ' (the signature does not fit)' : '';
  return `${subject === undefined ? names : `${subject} ${fingerprint}`}${doubt}`;
}

/** By parameter; one given several times counts with all its values in their order. */
export function commandLineRecords({ uki }: ImageReport): Records {
  const values = new Map<string, string[]>();
  for (const word of uki?.commandLine ?? []) {
    const at = word.indexOf('=');
    const name = at === -1 ? word : word.slice(0, at);
    const value = at === -1 ? '(set)' : word.slice(at + 1);
    values.set(name, [...(values.get(name) ?? []), value]);
  }
  return new Map(Array.from(values, ([name, list]) => [name, { value: list.join(' ') }]));
}

export function verityRecords({ verity }: ImageReport): Records {
  if (verity === undefined) return new Map();
  const { rootHash, superblock } = verity;
  return new Map([
    ...entryOf('root hash', rootHash),
    ...entryOf('algorithm', superblock?.algorithm),
    ...entryOf('salt', superblock?.salt),
    ...entryOf('data blocks', superblock?.dataBlocks),
    ...entryOf('data block size', superblock?.dataBlockSize),
  ]);
}

function entryOf(name: string, value: string | number | undefined): [string, Fields][] {
  return value === undefined ? [] : [[name, { value: String(value) }]];
}

export function ipeDecisionRecords({ ipe }: ImageReport): Records {
  // The last policy is the one that counts.
  const decisions = ipe.at(-1)?.decisions ?? [];
  return new Map(decisions.map(({ op, ...places }) => [op, places]));
}

export function selinuxRecords({ selinux }: ImageReport): Records {
  if (selinux === undefined) return new Map();
  const { mode, type, policies } = selinux;
  return new Map([['SELinux', { mode, type, policies: policies.join(' ') }]]);
}

export function packageRecords({ packages }: ImageReport): Records {
  const records = new Map<string, { version: string; license: string }>();
  for (const { name, version, license } of packages ?? []) {
    const other = records.get(name);
    records.set(name, {
      version: other === undefined ? version : `${other.version} ${version}`,
      license,
    });
  }
  return records;
}
