/** /usr: the signature of its root hash, every block, and the file system that comes out. */

import { existsSync } from 'node:fs';
import type { ByteSource } from '@osguard/formats/bytes';
import { sliceSource } from '@osguard/formats/bytes';
import { parseSignedData, rootHashContent, verifySignedData } from '@osguard/formats/cms';
import type { ErofsImage } from '@osguard/formats/erofs';
import { readErofs } from '@osguard/formats/erofs';
import type { RootHash } from '@osguard/formats/verity';
import type { Keyring } from '@osguard/keys';
import type { UsrFile, UsrLocation } from '../release/usr-digests.ts';
import type { LevelHelper } from '../verity/index.ts';
import { verifyVerity } from '../verity/index.ts';
import type { CheckList } from './checks.ts';
import { CheckFailed } from './checks.ts';
import type { FoundDisk, UsrPartitions } from './disk.ts';
import type { InitrdFiles } from './initrd-files.ts';

/** Where the initrd keeps the signature the kernel gets. */
export const usrSignaturePath = 'etc/verity/usr.p7s';
/** A signature partition holds a JSON text of a few KiB. */
const largestSignatureText = 64 * 1024;

export interface RootHashSignatureInput {
  readonly rootHash: RootHash;
  readonly initrd: InitrdFiles;
  readonly disk: FoundDisk | undefined;
  readonly partitions: UsrPartitions | undefined;
  readonly trust: Keyring;
}

/** Every signature that travels with the image must be good: the kernel could be given any of them. */
export async function checkRootHashSignature(list: CheckList, input: RootHashSignatureInput): Promise<void> {
  const name = { id: 'root-hash-signature', title: 'the root hash of /usr is signed by the role usr' };
  await list.check({ ...name, expected: input.rootHash }, () => {
    const trusted = input.trust.certificates('usr');
    if (trusted.length === 0) throw new CheckFailed('no certificate of the role usr is trusted');
    const signatures = collectSignatures(input);
    if (signatures.length === 0)
      throw new CheckFailed('no signature in the initrd or in a signature partition');
    const signers = signatures.map(({ where, bytes }) => {
      const message = parseSignedData(bytes);
      const [result, ...others] = verifySignedData(message, {
        trusted,
        content: rootHashContent(input.rootHash),
      });
      const failed = result?.checks.find(({ ok }) => !ok);
      if (result === undefined || others.length > 0 || failed !== undefined) {
        throw new CheckFailed(
          failed === undefined ? 'not exactly one signer' : `${failed.id}: ${failed.found}`,
          { where },
        );
      }
      return `${where}: ${result.certificate?.subjectText ?? ''}`;
    });
    return { found: signers.join('; '), value: undefined };
  });
}

function collectSignatures({ rootHash, initrd, disk, partitions }: RootHashSignatureInput): {
  readonly where: string;
  readonly bytes: Uint8Array;
}[] {
  const signatures: { readonly where: string; readonly bytes: Uint8Array }[] = [];
  const inInitrd = initrd.read(usrSignaturePath);
  if (inInitrd !== undefined) signatures.push({ where: `initrd /${usrSignaturePath}`, bytes: inInitrd });
  const partition = partitions?.signature;
  if (disk !== undefined && partition !== undefined) {
    const source = sliceSource(disk.source, partition.offset, Math.min(partition.size, largestSignatureText));
    const where = `partition ${partition.partition.index + 1}`;
    const { rootHash: named, signature } = parseSignaturePartition(source.read(0, source.size), where);
    if (named !== rootHash)
      throw new CheckFailed(`names the root hash ${named}`, { expected: rootHash, where });
    signatures.push({ where, bytes: signature });
  }
  return signatures;
}

/** UAPI.2 "Verity": `{"rootHash": …, "signature": base64 of DER PKCS#7, …}`, padded with zeros. */
function parseSignaturePartition(
  bytes: Uint8Array,
  where: string,
): { readonly rootHash: string; readonly signature: Uint8Array } {
  const text = Buffer.from(bytes).toString('utf8').replace(/\0+$/, '');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new CheckFailed('the signature partition holds no JSON', { where });
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
  throw new CheckFailed('the signature partition lacks rootHash or signature', { where });
}

export interface UsrInput {
  readonly rootHash: RootHash;
  readonly disk: FoundDisk;
  readonly partitions: UsrPartitions;
  /** Path of the file beside the disk that should hold the same bytes. */
  readonly twin?: string;
  readonly helper?: LevelHelper;
  readonly signal?: AbortSignal;
}

/** Bytes of a disk whose every block is the one a root hash names. */
export interface ProvenUsr {
  readonly rootHash: RootHash;
  /** Bytes from the start of the disk. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
  /** Every byte of the twin is the same. */
  readonly twinIsSame: boolean;
}

export interface FoundUsr {
  readonly image: ErofsImage;
  readonly location: UsrLocation;
  /** Every regular file. */
  readonly files: readonly UsrFile[];
}

/** Hashes every block, and compares it with the twin's. */
export async function checkUsrBlocks(list: CheckList, input: UsrInput): Promise<ProvenUsr | undefined> {
  const { disk, partitions, rootHash, twin, helper, signal } = input;
  const { data, tree } = partitions;
  return list.check(
    {
      id: 'usr-blocks',
      title: 'every block of /usr is the one the signed root hash names',
      where: disk.path,
    },
    async () => {
      const verdict = await verifyVerity({
        rootHash,
        data: { path: disk.path, offset: data.offset, size: data.size },
        tree: { path: disk.path, offset: tree.offset, size: tree.size },
        ...(twin !== undefined && existsSync(twin) && { twin: { path: twin } }),
        ...(helper !== undefined && { helper }),
        ...(signal !== undefined && { signal }),
      });
      if (!verdict.ok || verdict.geometry === undefined) {
        const failed = verdict.checks.find(({ ok }) => !ok);
        throw new CheckFailed(
          failed === undefined ? `${verdict.badCount} bad blocks` : `${failed.title}: ${failed.found}`,
        );
      }
      const { dataBlocks, dataBytes } = verdict.geometry;
      const twinIsSame = verdict.twin !== undefined && verdict.twin.unlike === undefined;
      const value = { rootHash, offset: data.offset, size: dataBytes, twinIsSame };
      return { found: `${dataBlocks} blocks, ${dataBytes} bytes`, value };
    },
  );
}

/** Reads the superblock and the whole directory tree. */
export async function checkUsrFiles(
  list: CheckList,
  { disk, proven }: { readonly disk: FoundDisk; readonly proven: ProvenUsr | undefined },
): Promise<FoundUsr | undefined> {
  const name = { id: 'usr-filesystem', title: '/usr is a sound EROFS file system' };
  if (proven === undefined) {
    list.missing(name, 'its blocks are not verified');
    return undefined;
  }
  return list.check(name, () => {
    const source: ByteSource = sliceSource(disk.source, proven.offset, proven.size);
    const image = readErofs(source);
    let inodes = 0;
    const files: UsrFile[] = [];
    for (const { path, node } of image.walk()) {
      inodes += 1;
      if (node.type === 'file') files.push({ path, node });
    }
    const value = { image, location: { path: disk.path, offset: proven.offset }, files };
    return { found: `${inodes} inodes, ${image.size} bytes`, value };
  });
}
