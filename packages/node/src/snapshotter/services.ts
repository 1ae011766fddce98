/** The two services containerd calls, in the words of its API; what they do is in snapshots.ts and unpack.ts. */

import type { ServiceImpl } from '@connectrpc/connect';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Diff } from '../containerd/gen/diff_pb.ts';
import type { InfoSchema } from '../containerd/gen/snapshots_pb.ts';
import { Snapshots as SnapshotsApi } from '../containerd/gen/snapshots_pb.ts';
import type { Metadata } from './metadata.ts';
import { SnapshotterError, toConnectError } from './error.ts';
import type { Snapshot } from './model.ts';
import type { Snapshots } from './snapshots.ts';
import type { Unpacker } from './unpack.ts';

export interface ServicesOptions {
  readonly snapshots: Snapshots;
  readonly metadata: Metadata;
  readonly unpacker: Unpacker;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly log: (message: string) => void;
}

/** Rows of one answer of List: containerd's own client takes any number. */
const pageLength = 100;

export function snapshotsService({
  snapshots,
  metadata,
  now,
  log,
}: ServicesOptions): ServiceImpl<typeof SnapshotsApi> {
  const answered = answering(log);
  return {
    prepare: ({ key, parent, labels }) =>
      answered('prepare', async () => ({ mounts: mounts(await snapshots.prepare({ key, parent, labels })) })),
    view: ({ key, parent, labels }) =>
      answered('view', async () => ({ mounts: mounts(await snapshots.view({ key, parent, labels })) })),
    mounts: ({ key }) => answered('mounts', async () => ({ mounts: mounts(await snapshots.mounts(key)) })),
    commit: ({ key, name, labels }) =>
      answered('commit', async () => {
        await snapshots.commit(key, name, { labels });
        return {};
      }),
    remove: ({ key }) =>
      answered('remove', async () => {
        await snapshots.remove(key);
        return {};
      }),
    stat: ({ key }) => answered('stat', () => ({ info: infoOf(metadata.get(key)) })),
    update: ({ info, updateMask }) =>
      answered('update', () => {
        if (info === undefined) throw new SnapshotterError('bad-request', 'an update needs a snapshot');
        const snapshot = metadata.get(info.name);
        const labels = updatedLabels(snapshot.labels, info.labels, updateMask?.paths ?? []);
        metadata.setLabels(snapshot.id, labels, now());
        return { info: infoOf(metadata.get(info.name)) };
      }),
    // containerd filters by itself: it asks a proxy for everything.
    async *list() {
      const all = metadata.snapshots();
      for (let from = 0; from < all.length; from += pageLength) {
        yield { info: all.slice(from, from + pageLength).map(infoOf) };
      }
    },
    usage: ({ key }) =>
      answered('usage', async () => {
        const { size, inodes } = await snapshots.usage(key);
        return { size: BigInt(size), inodes: BigInt(inodes) };
      }),
    cleanup: () =>
      answered('cleanup', async () => {
        await snapshots.cleanup();
        return {};
      }),
  };
}

export function diffService({ unpacker, log }: ServicesOptions): ServiceImpl<typeof Diff> {
  const answered = answering(log);
  return {
    apply: ({ diff, mounts: given }, context) =>
      answered('apply', async () => {
        if (diff === undefined) throw new SnapshotterError('bad-request', 'nothing to apply');
        const applied = await unpacker.apply({
          layer: { digest: diff.digest, mediaType: diff.mediaType, size: Number(diff.size) },
          mounts: given,
          namespace: context.requestHeader.get('containerd-namespace') ?? 'default',
          signal: context.signal,
        });
        return {
          applied: {
            mediaType: 'application/vnd.oci.image.layer.v1.tar',
            digest: applied.diffId,
            size: BigInt(applied.size),
          },
        };
      }),
    diff: () => {
      throw toConnectError(
        new SnapshotterError('not-implemented', 'a host makes no layers; containers are not committed here'),
      );
    },
  };
}

/** Runs one call; what it throws becomes a gRPC status, and refusals are said in the log. */
function answering(
  log: (message: string) => void,
): <T>(name: string, work: () => Promise<T> | T) => Promise<T> {
  return async (name, work) => {
    try {
      return await work();
    } catch (error) {
      const answer = toConnectError(error);
      const expected = error instanceof SnapshotterError && quiet.has(error.code);
      if (!expected) log(`${name}: ${answer.rawMessage}`);
      throw answer;
    }
  };
}

/** containerd asks for snapshots that are not there, and makes those that are, as a matter of course. */
const quiet: ReadonlySet<string> = new Set(['not-found', 'already-exists', 'not-implemented']);

function mounts(
  list: readonly { readonly type: string; readonly source: string; readonly options: readonly string[] }[],
): { type: string; source: string; options: string[] }[] {
  return list.map(({ type, source, options }) => ({ type, source, options: [...options] }));
}

function infoOf(snapshot: Snapshot): MessageInitShape<typeof InfoSchema> {
  return {
    name: snapshot.key,
    parent: snapshot.parent,
    kind: snapshot.kind,
    createdAt: timestampFromMs(snapshot.created),
    updatedAt: timestampFromMs(snapshot.updated),
    labels: { ...snapshot.labels },
  };
}

/** Only labels can change. Paths are `labels` or `labels.NAME`; none means all of them. */
function updatedLabels(
  before: Readonly<Record<string, string>>,
  given: Readonly<Record<string, string>>,
  paths: readonly string[],
): Readonly<Record<string, string>> {
  if (paths.length === 0 || paths.includes('labels')) return { ...given };
  const labels = new Map(Object.entries(before));
  for (const path of paths) {
    if (!path.startsWith('labels.')) throw new SnapshotterError('bad-request', `${path} cannot be changed`);
    const name = path.slice('labels.'.length);
    const value = given[name];
    if (value === undefined || value === '') labels.delete(name);
    else labels.set(name, value);
  }
  return Object.fromEntries(labels);
}
