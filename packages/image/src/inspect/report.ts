/** What an inspection found out. Nothing in here was verified against anybody's trust: that is `image verify`. */

import type { ReleaseFile } from '@osguard/formats/release';
import type { GptFinding } from '@osguard/formats/gpt';
import type { IpeAction, IpeOperation } from '@osguard/formats/ipe';

export interface ImageReport {
  /** As it was given. */
  readonly target: string;
  readonly kind: ImageKind;
  readonly release?: ReleaseReport;
  readonly disk?: DiskReport;
  /** Files of the EFI system partition. */
  readonly esp?: EspReport;
  readonly uki?: UkiReport;
  readonly initrd?: InitrdReport;
  readonly verity?: VerityReport;
  readonly usr?: UsrReport;
  readonly selinux?: SelinuxReport;
  readonly ipe: readonly IpeReport[];
  /** From the SBOM of a release folder. */
  readonly packages?: readonly PackageReport[];
  /** In sentences: what this image protects less than osguard can. */
  readonly weaker: readonly string[];
  /** What could not be read, or is not as it should be. */
  readonly findings: readonly Finding[];
}

export type ImageKind = 'release' | 'disk' | 'boot-image' | 'file-system';

export interface Finding {
  /** `unreadable`: what lies there is missing from the report. `remark`: it was read, and is not as it should be. */
  readonly kind: 'unreadable' | 'remark';
  readonly where: string;
  readonly message: string;
}

export interface ReleaseReport {
  readonly name: string;
  readonly version: string;
  /** Version of the kernel package. */
  readonly kernel: string;
  readonly architecture: string;
  readonly created: string;
  /** Key identifiers of the DSSE envelope; unverified. */
  readonly keyIds: readonly string[];
  readonly files: readonly ReleaseFile[];
  readonly provenance?: ProvenanceReport;
}

/** What provenance.json claims; unverified. */
export interface ProvenanceReport {
  readonly buildType: string;
  readonly builder: string;
  /** Version of osguard that built it. */
  readonly osguard: string;
  /** SHA-256 of the definition's text, lower-case hex. */
  readonly definition: string;
  /** Debian packages among the inputs. */
  readonly packages: number;
  /** Other inputs: files, certificates, components. */
  readonly others: number;
  readonly keyIds: readonly string[];
}

export interface DiskReport {
  readonly guid: string;
  /** Bytes. */
  readonly size: number;
  readonly sectorSize: number;
  /** In the order of the table. */
  readonly partitions: readonly PartitionReport[];
  readonly tableFindings: readonly GptFinding[];
}

export interface PartitionReport {
  /** As Linux counts: from 1. */
  readonly number: number;
  /** Name of the type in the Discoverable Partitions Specification; absent for others. */
  readonly typeName?: string;
  readonly type: string;
  readonly label: string;
  readonly uuid: string;
  /** Bytes. */
  readonly offset: number;
  readonly size: number;
  /** What lies in it, for example `erofs`, `vfat`, `empty`; absent when it is not recognised. */
  readonly content?: string;
  /** Bytes its content takes; absent when that is not known. */
  readonly used?: number;
  readonly attributes: readonly string[];
}

export interface EspReport {
  /** Number of the partition. */
  readonly partition: number;
  readonly label: string;
  readonly type: string;
  readonly files: readonly { readonly path: string; readonly size: number }[];
}

export interface UkiReport {
  /** File, or path on the ESP. */
  readonly where: string;
  readonly size: number;
  readonly machine: string;
  /** SHA-256 Authenticode digest. */
  readonly digest?: string;
  readonly sections: readonly { readonly name: string; readonly size: number; readonly sha256: string }[];
  readonly signers: readonly SignerReport[];
  /** As `uname -r` says it: section .uname. */
  readonly kernel?: string;
  /** PRETTY_NAME of section .osrel. */
  readonly title?: string;
  /** Words of the command line as the kernel splits it; absent without a section .cmdline. */
  readonly commandLine?: readonly string[];
}

/** Who a signature says made it. */
export interface SignerReport {
  /** Absent when the signer's certificate is nowhere in the image. */
  readonly subject?: string;
  /** SHA-256 of the certificate. */
  readonly fingerprint?: string;
  /** What the signature itself names: issuer and serial number, or a key identifier. */
  readonly names: string;
  /** Whether the signature is that certificate's and over these bytes; absent without certificate. No trust. */
  readonly fits?: boolean;
}

export interface InitrdReport {
  /** Bytes, compressed. */
  readonly size: number;
  readonly unpackedSize: number;
  readonly entries: number;
  readonly kernelModules: number;
  /** Certificates it loads into the keyring .dm-verity, and those of systemd's verity.d. */
  readonly volumeSigners: readonly {
    readonly path: string;
    readonly subject: string;
    readonly fingerprint: string;
  }[];
}

export interface VerityReport {
  /** From the command line. */
  readonly rootHash?: string;
  /** Of the tree partition's superblock. */
  readonly superblock?: {
    readonly algorithm: string;
    readonly dataBlockSize: number;
    readonly dataBlocks: number;
    readonly salt: string;
  };
  readonly signatures: readonly {
    readonly where: string;
    /** The root hash a signature partition names. */
    readonly rootHash?: string;
    readonly signers: readonly SignerReport[];
  }[];
}

export interface UsrReport {
  /** File or partition. */
  readonly where: string;
  /** Bytes of the file system image. */
  readonly imageSize: number;
  readonly inodes: number;
  readonly files: number;
  readonly directories: number;
  readonly symlinks: number;
  readonly others: number;
  /** Bytes of all files, hard links counted once. */
  readonly bytes: number;
  /** False when the walk ended at damage: what follows is then only a part. */
  readonly complete: boolean;
  /** Inodes without security.selinux. */
  readonly unlabelled: number;
  readonly largest: readonly { readonly path: string; readonly size: number }[];
  /** Files that give their owner's or group's rights to whoever runs them. */
  readonly setuid: readonly {
    readonly path: string;
    readonly mode: number;
    readonly uid: number;
    readonly gid: number;
  }[];
  /** In the words of setcap(8). */
  readonly capabilities: readonly { readonly path: string; readonly capabilities: string }[];
  /** Shells and interpreters: they run unsigned text. */
  readonly interpreters: readonly string[];
  /** Entries beyond what the lists above hold. */
  readonly omitted: number;
}

export interface SelinuxReport {
  /** SELINUX= of the configuration. */
  readonly mode: string;
  /** SELINUXTYPE= */
  readonly type: string;
  readonly policies: readonly string[];
}

export interface IpeReport {
  readonly where: string;
  readonly name: string;
  readonly version: string;
  readonly signers: readonly SignerReport[];
  readonly text: string;
  readonly decisions: readonly IpeDecisionReport[];
}

/** One operation, for a file from each of these places. */
export interface IpeDecisionReport {
  readonly op: IpeOperation;
  readonly initramfs: IpeAction;
  /** The volume whose root hash the command line names, opened with its signature. */
  readonly usr?: IpeAction;
  /** Any other volume with a good signature: layers. */
  readonly signedVolume: IpeAction;
  readonly unsignedVolume: IpeAction;
  /** Any writable file system, and memory without a file. */
  readonly elsewhere: IpeAction;
}

export interface PackageReport {
  readonly name: string;
  readonly version: string;
  readonly license: string;
}
