/** GPT and ESP: finds the parts of the chain on a disk. */

import type { ByteSource } from '@osguard/formats/bytes';
import { sliceSource } from '@osguard/formats/bytes';
import type { FatNode, FatVolume } from '@osguard/formats/fat';
import { readFat } from '@osguard/formats/fat';
import type { GptPartition } from '@osguard/formats/gpt';
import { gptTypes, partitionExtent, readGpt } from '@osguard/formats/gpt';
import { verifyPe } from '@osguard/formats/pe';
import type { RootHash } from '@osguard/formats/verity';
import { rootHashPartitionIds } from '@osguard/formats/verity';
import type { Keyring } from '@osguard/keys';
import { removableMediaPath } from '../disk/host-disk.ts';
import type { BootImage } from './boot-image.ts';
import type { CheckList } from './checks.ts';
import { CheckFailed } from './checks.ts';

export interface FoundPartition {
  readonly partition: GptPartition;
  /** Bytes. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
}

export interface FoundDisk {
  readonly source: ByteSource;
  readonly path: string;
  readonly partitions: readonly FoundPartition[];
}

export async function checkDisk(
  list: CheckList,
  source: ByteSource,
  path: string,
): Promise<FoundDisk | undefined> {
  return list.check(
    { id: 'gpt', title: 'both copies of the partition table are sound and agree', where: path },
    () => {
      const table = readGpt(source);
      const [finding] = table.findings;
      if (finding !== undefined) throw new CheckFailed(finding.message);
      const partitions = table.partitions.map((partition) => ({
        partition,
        ...partitionExtent(partition, table.sectorSize),
      }));
      return { found: `${partitions.length} partitions`, value: { source, path, partitions } };
    },
  );
}

export interface FoundEsp {
  readonly volume: FatVolume;
  /** The boot image, by its path on the volume. */
  readonly uki: FatNode;
}

/**
 * The UKI the firmware starts from this disk: the removable-media default. Where other tools put a boot loader there, it
 * starts the one UKI in EFI/Linux.
 */
export async function checkEsp(
  list: CheckList,
  disk: FoundDisk,
  { foreign }: { readonly foreign: boolean },
): Promise<FoundEsp | undefined> {
  const name = { id: 'esp', title: 'the EFI system partition holds a boot image', where: disk.path };
  return list.check(name, () => {
    const found = disk.partitions.filter(({ partition }) => partition.type === gptTypes.esp);
    const [esp] = found;
    if (esp === undefined || found.length > 1) throw new CheckFailed(`${found.length} EFI system partitions`);
    const volume = readFat(sliceSource(disk.source, esp.offset, esp.size));
    const [only, ...others] = volume.nodes.filter(({ path }) => /^efi\/linux\/[^/]+\.efi$/i.test(path));
    const started = foreign && others.length === 0 ? only : undefined;
    const uki = started ?? volume.find(removableMediaPath);
    if (uki === undefined) throw new CheckFailed(`no ${removableMediaPath}`);
    return { found: `${uki.path}, ${uki.size} bytes`, value: { volume, uki } };
  });
}

export interface EspFilesInput {
  readonly foreign: boolean;
  readonly trust: Keyring;
  /** What {@link FoundEsp.uki} holds. */
  readonly boot: BootImage;
}

/**
 * What else lies on the ESP could be started or read before anything is verified. Ours holds the boot image alone; on
 * others every program must be signed by the role boot.
 */
export async function checkEspFiles(
  list: CheckList,
  { volume, uki }: FoundEsp,
  { foreign, trust, boot }: EspFilesInput,
): Promise<void> {
  const title = foreign
    ? 'every program on the ESP is signed by the role boot'
    : 'the ESP holds nothing but the boot image';
  await list.check({ id: 'esp-files', title }, () => {
    const files = volume.nodes.filter(({ kind }) => kind === 'file');
    if (!foreign) {
      const extra = files.find(({ path }) => path !== uki.path);
      if (extra !== undefined) throw new CheckFailed(`${extra.path} is there too`, { expected: uki.path });
    }
    const trusted = trust.certificates('boot');
    const programs = files.filter(({ path }) => /\.efi$/i.test(path));
    const isSigned = (node: FatNode): boolean =>
      node === uki ? boot.verification().ok : verifyPe(volume.open(node), { trusted }).ok;
    const unsigned = programs.find((node) => !isSigned(node));
    if (unsigned !== undefined) throw new CheckFailed(`${unsigned.path} is not signed by the role boot`);
    return { found: programs.map(({ path }) => path).join(', '), value: undefined };
  });
}

export interface UsrPartitions {
  readonly data: FoundPartition;
  readonly tree: FoundPartition;
  /** Absent where the signature travels in the initrd only. */
  readonly signature: FoundPartition | undefined;
}

/** Data and hash tree by the partition UUIDs that follow from the root hash, as the initrd finds them. */
export async function checkUsrPartitions(
  list: CheckList,
  disk: FoundDisk,
  rootHash: RootHash,
): Promise<UsrPartitions | undefined> {
  const ids = rootHashPartitionIds(rootHash);
  const name = {
    id: 'usr-partitions',
    title: 'the partitions of /usr are those the root hash names',
    expected: `${ids.data} and ${ids.tree}`,
    where: disk.path,
  };
  return list.check(name, () => {
    const pick = (type: string, guid: string): FoundPartition => {
      const found = disk.partitions.find(
        (each) => each.partition.type === type && each.partition.guid === guid,
      );
      if (found === undefined) throw new CheckFailed(`no partition ${guid} of type ${type}`);
      return found;
    };
    const data = pick(gptTypes.usrX86_64, ids.data);
    const tree = pick(gptTypes.usrVerityX86_64, ids.tree);
    const sameSlot = disk.partitions.find(
      ({ partition }) =>
        partition.type === gptTypes.usrVeritySigX86_64 &&
        (partition.index === tree.partition.index + 1 || partition.name === data.partition.name),
    );
    return {
      found: `partitions ${data.partition.index + 1} and ${tree.partition.index + 1}`,
      value: { data, tree, signature: sameSlot },
    };
  });
}
