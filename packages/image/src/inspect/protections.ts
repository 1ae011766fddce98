/** What the kernel will be told to enforce: root hash signatures, IPE policies, SELinux. */

import type { ByteSource } from '@osguard/formats/bytes';
import { FormatError, toHex } from '@osguard/formats/bytes';
import { parseSignedData, rootHashContent } from '@osguard/formats/cms';
import type { IpeAction, IpeOperation, IpePolicy, IpeSubject } from '@osguard/formats/ipe';
import { evaluateIpePolicy, formatIpeVersion, ipeOperations, parseIpePolicy } from '@osguard/formats/ipe';
import { parseVeritySuperblock, veritySuperblockSize } from '@osguard/formats/verity';
import type { Certificate } from '@osguard/formats/x509';
import type { InitrdFiles } from '../verify/initrd-files.ts';
import type { Findings } from './findings.ts';
import type { OpenedPartition } from './partitions.ts';
import type { IpeDecisionReport, IpeReport, SelinuxReport, SignerReport, VerityReport } from './report.ts';
import { describeSigners } from './signers.ts';
import type { OpenedUsr } from './usr.ts';

/** Bytes of a signature, policy or configuration file that are looked at. */
const largest = 1024 * 1024;
const mostFiles = 64;

export interface ProtectionInput {
  readonly rootHash: string | undefined;
  readonly initrd: InitrdFiles | undefined;
  readonly partitions: readonly OpenedPartition[];
  /** Certificates of the image, to name signers by. */
  readonly known: readonly Certificate[];
  readonly findings: Findings;
}

export function describeVerity(input: ProtectionInput): VerityReport | undefined {
  const { rootHash, initrd, partitions, known, findings } = input;
  const signatures: VerityReport['signatures'][number][] = [];
  const add = (where: string, bytes: Uint8Array, named = rootHash): void => {
    const signers = findings.attempt(where, () => {
      const content = named === undefined ? undefined : rootHashContent(named);
      return describeSigners(parseSignedData(bytes), { known, ...(content !== undefined && { content }) });
    });
    if (signers !== undefined) {
      signatures.push({
        where,
        ...(named !== rootHash && named !== undefined && { rootHash: named }),
        signers,
      });
    }
  };
  for (const { path, bytes } of filesMatching(initrd, /^etc\/verity\/[^/]+\.p7s$/))
    add(`initrd /${path}`, bytes);
  for (const { number, typeName, source } of partitions) {
    if (typeName?.includes('VeritySig') !== true || isZero(source)) continue;
    const where = `partition ${number}`;
    const found = findings.attempt(where, () => readSignaturePartition(source));
    if (found !== undefined) add(where, found.signature, found.rootHash);
  }
  const superblock = findTree(partitions, input);
  if (rootHash === undefined && superblock === undefined && signatures.length === 0) return undefined;
  return {
    ...(rootHash !== undefined && { rootHash }),
    ...(superblock !== undefined && { superblock }),
    signatures,
  };
}

function findTree(
  partitions: readonly OpenedPartition[],
  { rootHash, findings }: ProtectionInput,
): VerityReport['superblock'] {
  const trees = partitions.filter(({ typeName }) => /Verity(?!Sig)/.test(typeName ?? ''));
  // The UUID of the tree's partition is the second half of the root hash (UAPI.2).
  const half = rootHash?.slice(-32);
  const tree =
    trees.find(({ partition }) => partition.guid.replaceAll('-', '') === half) ??
    trees.find(({ source }) => !isZero(source));
  if (tree === undefined) return undefined;
  return findings.attempt(`partition ${tree.number}`, () => {
    const { algorithm, dataBlockSize, dataBlocks, salt } = parseVeritySuperblock(
      Uint8Array.from(tree.source.read(0, veritySuperblockSize)),
    );
    return { algorithm, dataBlockSize, dataBlocks, salt: toHex(salt) };
  });
}

function isZero(source: ByteSource): boolean {
  return source.read(0, Math.min(source.size, 512)).every((octet) => octet === 0);
}

/** UAPI.2 "Verity": `{"rootHash": …, "signature": base64 of DER PKCS#7, …}`, padded with zeros. */
function readSignaturePartition(source: ByteSource): {
  readonly rootHash: string;
  readonly signature: Uint8Array;
} {
  const text = Buffer.from(source.read(0, Math.min(source.size, largest)))
    .toString('utf8')
    .replace(/\0+$/, '');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new FormatError('malformed', 'a signature partition without JSON', { offset: 0, cause });
  }
  if (typeof value === 'object' && value !== null && 'rootHash' in value && 'signature' in value) {
    const { rootHash, signature } = value;
    if (typeof rootHash === 'string' && typeof signature === 'string') {
      return {
        rootHash: rootHash.toLowerCase(),
        signature: new Uint8Array(Buffer.from(signature, 'base64')),
      };
    }
  }
  throw new FormatError('malformed', 'a signature partition without rootHash or signature', { offset: 0 });
}

/** Policies PID 1 loads from the initrd, in the order in which it does; the last one is the active one. */
export function describeIpe({ initrd, known, findings, rootHash }: ProtectionInput): readonly IpeReport[] {
  const reports: IpeReport[] = [];
  for (const { path, bytes } of filesMatching(initrd, /^(?:etc|usr\/lib)\/ipe\/[^/]+\.p7b$/)) {
    const where = `initrd /${path}`;
    const message = findings.attempt(where, () => parseSignedData(bytes));
    if (message === undefined) continue;
    const signers =
      findings.attempt<readonly SignerReport[]>(where, () => describeSigners(message, { known })) ?? [];
    const { content } = message;
    if (content === undefined) {
      findings.add(where, 'the signature holds no policy');
      continue;
    }
    const text = Buffer.from(content.subarray(0, largest)).toString('latin1');
    const policy = findings.attempt(where, () => parseIpePolicy(content));
    reports.push({
      where,
      name: policy?.name ?? '',
      version: policy === undefined ? '' : formatIpeVersion(policy.version),
      signers,
      text,
      decisions: policy === undefined ? [] : ipeOperations.map((op) => decide(policy, { op, rootHash })),
    });
  }
  return reports;
}

function decide(
  policy: IpePolicy,
  { op, rootHash }: { readonly op: IpeOperation; readonly rootHash: string | undefined },
): IpeDecisionReport {
  const action = (subject: Omit<IpeSubject, 'op'>): IpeAction =>
    evaluateIpePolicy(policy, { op, ...subject }).action;
  return {
    op,
    initramfs: action({ bootVerified: true }),
    ...(rootHash !== undefined && {
      usr: action({ dmVerity: { signed: true, rootHash: { algorithm: 'sha256', hex: rootHash } } }),
    }),
    signedVolume: action({ dmVerity: { signed: true } }),
    unsignedVolume: action({ dmVerity: { signed: false } }),
    elsewhere: action({}),
  };
}

function filesMatching(
  initrd: InitrdFiles | undefined,
  pattern: RegExp,
): readonly { readonly path: string; readonly bytes: Uint8Array }[] {
  if (initrd === undefined) return [];
  return [...initrd.entries]
    .filter(([path, { kind, body }]) => kind === 'file' && pattern.test(path) && body.size <= largest)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .slice(0, mostFiles)
    .map(([path, { body }]) => ({ path, bytes: Uint8Array.from(body.read(0, body.size)) }));
}

/** Where the configuration can lie: osguard keeps /etc/selinux inside /usr. */
const selinuxFolders = ['/usr/share/selinux-etc', '/etc/selinux', '/usr/share/factory/etc/selinux'];

export function describeSelinux(
  { where, image, prefix }: OpenedUsr,
  findings: Findings,
): SelinuxReport | undefined {
  const inside = (path: string): string | undefined =>
    path.startsWith(prefix) ? path.slice(prefix.length) : undefined;
  return findings.attempt(`${where} SELinux`, () => {
    for (const folder of selinuxFolders) {
      const base = inside(folder);
      const node = base === undefined ? undefined : image.lookup(`${base}/config`);
      if (base === undefined || node?.type !== 'file') continue;
      const text = Buffer.from(image.read(node, 0, Math.min(node.size, largest))).toString('utf8');
      const setting = (name: string): string =>
        text
          .split('\n')
          .findLast((line) => line.startsWith(`${name}=`))
          ?.slice(name.length + 1)
          .trim() ?? '';
      const type = setting('SELINUXTYPE');
      const policies = /^[\w.-]+$/.test(type) ? image.lookup(`${base}/${type}/policy`) : undefined;
      const names = policies?.type === 'directory' ? image.directory(policies).map(({ name }) => name) : [];
      return {
        mode: setting('SELINUX'),
        type,
        policies: names.filter((name) => /^policy\.\d+$/.test(name)).slice(0, mostFiles),
      };
    }
    return undefined;
  });
}
