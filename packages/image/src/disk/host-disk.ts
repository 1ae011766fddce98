/**
 * The disk of a host (UAPI.2 Discoverable Partitions Specification): an EFI system partition with the UKI as the
 * removable-media default, /usr in slot A with its hash tree and signature, an empty slot B of the same sizes, and
 * free space at the end in which the first boot makes /var.
 */

import { createHash } from 'node:crypto';
import type { ByteSource } from '@osguard/formats/bytes';
import { sourceOf } from '@osguard/formats/bytes';
import { writeFat } from '@osguard/formats/fat';
import { gptAttributes, gptTypes } from '@osguard/formats/gpt';
import type { RootHash } from '@osguard/formats/verity';
import { rootHashPartitionIds } from '@osguard/formats/verity';
import { ImageError } from '../error.ts';
import type { DiskPartition, DiskPlan } from './assemble.ts';

export interface HostDisk {
  /** Name and version of the image; part of PARTLABELs. */
  readonly name: string;
  readonly version: string;
  readonly rootHash: RootHash;
  readonly usr: ByteSource;
  readonly usrTree: ByteSource;
  /** Detached PKCS#7 over the root hash, and the SHA-256 fingerprint (hex) of the certificate that made it. */
  readonly signature: Uint8Array;
  readonly signer: string;
  readonly uki: ByteSource;
  /** Bytes. */
  readonly sizes: { readonly esp: number; readonly usr: number; readonly var: number };
  /** Seconds since 1970. */
  readonly sourceDateEpoch: number;
}

const mebibyte = 1024 * 1024;
/** Path the firmware starts from a disk that has no boot entry (UEFI 2.10 §3.5.1.1, x86-64). */
export const removableMediaPath = 'EFI/BOOT/BOOTX64.EFI';
/** The signature partition holds a JSON text of a few kilobytes; 16 KiB is what the specification's tools use at least. */
const signatureSize = mebibyte;
/** firstLba of the first partition is 1 MiB: what the boot sector calls hidden. */
const espStartSectors = 2048;

/** @throws ImageError (`too-small`) when /usr does not fit in its slot. */
export function planHostDisk(host: HostDisk): DiskPlan & { readonly freeSpace: number } {
  const treeSize = treeCapacity(host.sizes.usr);
  if (host.usr.size > host.sizes.usr || host.usrTree.size > treeSize) {
    throw new ImageError('too-small', `/usr has ${host.usr.size} bytes, its slot ${host.sizes.usr}`, {
      hint: `set disk.usr to at least "${Math.ceil(host.usr.size / mebibyte)} MiB", with room for later versions`,
    });
  }
  const { data, tree } = rootHashPartitionIds(host.rootHash);
  // Everything else that needs to be unique and yet reproducible follows from the root hash.
  const id = (what: string): string => derivedGuid(`${host.rootHash} ${what}`);
  const label = `${host.name}_${host.version}`.slice(0, 36);
  const readOnly = gptAttributes.readOnly;
  const slot = (type: string, name: string, size: number): DiskPartition => ({
    type,
    guid: id(name),
    name: '_empty',
    size,
    attributes: readOnly | gptAttributes.noAuto,
    content: [],
  });
  return {
    diskGuid: id('disk'),
    freeSpace: host.sizes.var,
    partitions: [
      { type: gptTypes.esp, guid: id('esp'), name: 'esp', size: host.sizes.esp, content: espContent(host) },
      {
        type: gptTypes.usrX86_64,
        guid: data,
        name: label,
        size: host.sizes.usr,
        attributes: readOnly,
        content: [{ offset: 0, body: host.usr }],
      },
      {
        type: gptTypes.usrVerityX86_64,
        guid: tree,
        name: label,
        size: treeSize,
        attributes: readOnly,
        content: [{ offset: 0, body: host.usrTree }],
      },
      {
        type: gptTypes.usrVeritySigX86_64,
        guid: id('usr-verity-sig'),
        name: label,
        size: signatureSize,
        attributes: readOnly,
        content: [{ offset: 0, body: sourceOf(encodeVeritySignature(host)) }],
      },
      slot(gptTypes.usrX86_64, 'usr-b', host.sizes.usr),
      slot(gptTypes.usrVerityX86_64, 'usr-verity-b', treeSize),
      slot(gptTypes.usrVeritySigX86_64, 'usr-verity-sig-b', signatureSize),
    ],
  };
}

function espContent(host: HostDisk): DiskPartition['content'] {
  return writeFat({
    size: host.sizes.esp,
    volumeId: Number.parseInt(host.rootHash.slice(0, 8), 16),
    label: 'ESP',
    mtime: host.sourceDateEpoch,
    hiddenSectors: espStartSectors,
    files: [{ path: removableMediaPath, body: host.uki }],
  }).segments;
}

/** Content of a usr-verity-sig partition: a JSON object, zero-padded (UAPI.2, "Verity" section). */
export function encodeVeritySignature(
  host: Pick<HostDisk, 'rootHash' | 'signature' | 'signer'>,
): Uint8Array<ArrayBuffer> {
  const text = JSON.stringify({
    rootHash: host.rootHash,
    certificateFingerprint: host.signer,
    signature: Buffer.from(host.signature).toString('base64'),
  });
  return new Uint8Array(Buffer.from(text, 'ascii'));
}

/** Bytes a hash tree over `size` bytes may take with 4096-byte blocks and 32-byte digests, superblock included. */
export function treeCapacity(size: number): number {
  let blocks = Math.ceil(size / 4096);
  let total = 1;
  do {
    blocks = Math.ceil(blocks / 128);
    total += blocks;
  } while (blocks > 1);
  return Math.ceil((total * 4096) / mebibyte) * mebibyte;
}

/** A version 8 (custom) UUID of RFC 9562 from SHA-256 of a text. */
function derivedGuid(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  const variant = ((Number.parseInt(hex.slice(16, 18), 16) & 0x3f) | 0x80).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(18, 20)}-${hex.slice(20, 32)}`;
}
