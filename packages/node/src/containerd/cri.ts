/** The container runtime interface, as kubelet speaks it to containerd (k8s.io/cri-api, runtime.v1). */

import type { Duplex } from 'node:stream';
import { createClient } from '@connectrpc/connect';
import type { Client } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { ImageService, RuntimeService } from './gen/cri_pb.ts';

/** Whose namespace a container is in. */
export const namespaceModes = { pod: 0, container: 1, node: 2 } as const;
export const sandboxStates = { ready: 0, notReady: 1 } as const;
export const containerStates = { created: 0, running: 1, exited: 2, unknown: 3 } as const;

export interface Cri {
  readonly runtime: Client<typeof RuntimeService>;
  readonly images: Client<typeof ImageService>;
}

/** @param connect to containerd's socket, or to something that leads there; called again when a connection ended. */
export function openCri(connect: () => Duplex): Cri {
  const transport = createGrpcTransport({
    baseUrl: 'http://localhost',
    nodeOptions: { createConnection: connect },
  });
  return {
    runtime: createClient(RuntimeService, transport),
    images: createClient(ImageService, transport),
  };
}
