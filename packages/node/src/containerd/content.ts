/** containerd's content store, read through its API on a unix socket. */

import { connect } from 'node:net';
import { createClient } from '@connectrpc/connect';
import type { Client } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { Content } from './gen/content_pb.ts';

export interface BlobInfo {
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
  readonly labels: Readonly<Record<string, string>>;
}

export interface ContentStore {
  info(digest: string): Promise<BlobInfo>;
  list(filters: readonly string[]): Promise<readonly BlobInfo[]>;
  read(digest: string, options?: { readonly signal?: AbortSignal }): AsyncIterable<Uint8Array>;
}

/** @param namespace of containerd: `default` for ctr, `k8s.io` for Kubernetes. */
export function openContentStore(socket: string, namespace: string): ContentStore {
  const transport = createGrpcTransport({
    baseUrl: 'http://localhost',
    nodeOptions: { createConnection: () => connect(socket) },
  });
  const client: Client<typeof Content> = createClient(Content, transport);
  const headers = { 'containerd-namespace': namespace };
  return {
    async info(digest) {
      const { info } = await client.info({ digest }, { headers });
      return { digest, size: Number(info?.size ?? 0), labels: info?.labels ?? {} };
    },
    async list(filters) {
      const found: BlobInfo[] = [];
      for await (const { info } of client.list({ filters: [...filters] }, { headers })) {
        for (const { digest, size, labels } of info) found.push({ digest, size: Number(size), labels });
      }
      return found;
    },
    async *read(digest, { signal } = {}) {
      for await (const { data } of client.read({ digest }, { headers, ...(signal && { signal }) }))
        yield data;
    },
  };
}
