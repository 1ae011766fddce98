/** What osguard speaks of containerd's API; the messages in gen/ are made of proto/ by protoc-gen-es. */

export { Content } from './gen/content_pb.ts';
export { Diff } from './gen/diff_pb.ts';
export { Snapshots } from './gen/snapshots_pb.ts';
export { openContentStore } from './content.ts';
export type { BlobInfo, ContentStore } from './content.ts';
export { containerStates, namespaceModes, openCri, sandboxStates } from './cri.ts';
export type { Cri } from './cri.ts';
