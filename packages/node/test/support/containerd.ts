/** containerd's content store, as far as the snapshotter asks it: blobs without labels, and none to list. */

import { once } from 'node:events';
import { createServer } from 'node:http2';
import type { ServerHttp2Session } from 'node:http2';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { Content } from '../../src/containerd/gen/content_pb.ts';

export interface FakeContainerd {
  readonly socket: string;
  close(): Promise<void>;
}

export async function startFakeContainerd(socket: string): Promise<FakeContainerd> {
  const handler = connectNodeAdapter({
    routes: (router) =>
      router.service(Content, {
        info: ({ digest }) => ({ info: { digest, size: 1n, labels: {} } }),
        // oxlint-disable-next-line require-yield -- nothing is there
        async *list() {
          return;
        },
      }),
    grpc: true,
    grpcWeb: false,
    connect: false,
  });
  const server = createServer(handler);
  const sessions = new Set<ServerHttp2Session>();
  server.on('session', (session) => sessions.add(session));
  server.listen(socket);
  await once(server, 'listening');
  return {
    socket,
    async close() {
      for (const session of sessions) session.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
