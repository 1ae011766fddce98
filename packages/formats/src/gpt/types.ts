/**
 * Partition types and attribute bits.
 *
 * Types: UAPI Group Specifications, UAPI.2 "Discoverable Partitions Specification", section "Defined
 * Partition Type UUIDs"; the ESP's is UEFI 2.10 table 5.7. Attributes: UEFI 2.10 table 5.8 (bits 0 to 2)
 * and UAPI.2 "Partition Flags" (bits 59, 60 and 63).
 */

export const gptTypes = {
  esp: 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b',
  xbootldr: 'bc13c2ff-59e6-4262-a352-b275fd6f7172',
  rootX86_64: '4f68bce3-e8cd-4db1-96e7-fbcaf984b709',
  rootVerityX86_64: '2c7357ed-ebd2-46d9-aec1-23d437ec2bf5',
  rootVeritySigX86_64: '41092b05-9fc8-4523-994f-2def0408b176',
  usrX86_64: '8484680c-9521-48c6-9c11-b0720656f69e',
  usrVerityX86_64: '77ff5f63-e7b6-4633-acf4-1565b864c0e6',
  usrVeritySigX86_64: 'e7bb33fb-06cf-4e81-8273-e543b413e2e2',
  rootArm64: 'b921b045-1df0-41c3-af44-4c6f280d3fae',
  rootVerityArm64: 'df3300ce-d69f-4c92-978c-9bfb0f38d820',
  rootVeritySigArm64: '6db69de6-29f4-4758-a7a5-962190f00ce3',
  usrArm64: 'b0e01050-ee5f-4390-949a-9101b17104e9',
  usrVerityArm64: '6e11a4e7-fbca-4ded-b9e9-e1a512bb664e',
  usrVeritySigArm64: 'c23ce4ff-44bd-4b00-b2d4-b41b3419e02a',
  var: '4d21b016-b534-45c2-a9fb-5c16e091fd2d',
  tmp: '7ec6f557-3bc5-4aca-b293-16ef5df639d1',
  home: '933ac7e1-2eb4-4f13-b844-0e14e2aef915',
  srv: '3b8f8425-20e0-4f3b-907f-1a25a76f98e8',
  swap: '0657fd6d-a4ab-43c4-84e5-0933c84b4f4f',
  /** Any Linux file system; never mounted on its own. */
  linuxGeneric: '0fc63daf-8483-4772-8e79-3d69d8477de4',
} as const;

export type GptTypeName = keyof typeof gptTypes;

/** The name of a type GUID in {@link gptTypes}, if it is one of them. */
export function gptTypeName(guid: string): GptTypeName | undefined {
  const wanted = guid.toLowerCase();
  return Object.keys(gptTypes)
    .filter(isTypeName)
    .find((name) => gptTypes[name] === wanted);
}

function isTypeName(name: string): name is GptTypeName {
  return Object.hasOwn(gptTypes, name);
}

export type GptAttribute = 'required' | 'noBlockIo' | 'legacyBoot' | 'growFileSystem' | 'readOnly' | 'noAuto';

export const gptAttributes: Readonly<Record<GptAttribute, bigint>> = {
  /** The platform needs this partition to function. */
  required: 1n << 0n,
  /** Firmware must not produce a block device for it. */
  noBlockIo: 1n << 1n,
  legacyBoot: 1n << 2n,
  /** The file system inside grows to the size of the partition on first mount. */
  growFileSystem: 1n << 59n,
  readOnly: 1n << 60n,
  /** systemd-gpt-auto-generator must not mount it. */
  noAuto: 1n << 63n,
};
