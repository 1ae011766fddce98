/** gRPC on a unix socket that only root reaches, for containerd's proxy plugins. */

import { once } from 'node:events';
import { chmod, mkdir, rm } from 'node:fs/promises';
import type { Http2Server, ServerHttp2Session } from 'node:http2';
import { createServer } from 'node:http2';
import { dirname } from 'node:path';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { Diff } from '../containerd/gen/diff_pb.ts';
import { Snapshots } from '../containerd/gen/snapshots_pb.ts';
import type { ServicesOptions } from './services.ts';
import { diffService, snapshotsService } from './services.ts';

export interface SnapshotterServer extends AsyncDisposable {
  readonly socket: string;
}

/** A socket file left by a process that is gone is replaced. */
export async function serveSnapshotter(socket: string, options: ServicesOptions): Promise<SnapshotterServer> {
  const handler = connectNodeAdapter({
    routes: (router) => {
      router.service(Snapshots, snapshotsService(options)).service(Diff, diffService(options));
    },
    grpc: true,
    grpcWeb: false,
    connect: false,
  });
  const server = createServer(handler);
  const sessions = new Set<ServerHttp2Session>();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
    // A client that goes away is no business of ours.
    session.on('error', () => undefined);
  });
  await mkdir(dirname(socket), { recursive: true, mode: 0o755 });
  await rm(socket, { force: true });
  await listen(server, socket);
  await chmod(socket, 0o600);
  return {
    socket,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      for (const session of sessions) session.close();
      // Calls under way have this long to end; what they leave behind the next start removes.
      const force = setTimeout(() => {
        for (const session of sessions) session.destroy();
      }, 5000);
      await closed;
      clearTimeout(force);
    },
  };
}

async function listen(server: Http2Server, socket: string): Promise<void> {
  const before = process.umask(0o177);
  try {
    server.listen(socket);
    await once(server, 'listening');
  } finally {
    process.umask(before);
  }
}
