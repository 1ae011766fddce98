/** The key a client proved to hold when the TLS connection began. Who it is, its certificate does not say. */

import { createHash } from 'node:crypto';
import { TLSSocket } from 'node:tls';
import type { Socket } from 'node:net';

export interface PeerKey {
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  /** SHA-256 of it, lower-case hex. */
  readonly digest: string;
}

const known = new WeakMap<Socket, PeerKey | false>();

/** Undefined when the client showed no certificate. */
export function peerKeyOf(socket: Socket): PeerKey | undefined {
  let peer = known.get(socket);
  if (peer === undefined) {
    const spki = socket instanceof TLSSocket ? keyOf(socket) : undefined;
    peer = spki === undefined ? false : { spki, digest: createHash('sha256').update(spki).digest('hex') };
    known.set(socket, peer);
  }
  return peer === false ? undefined : peer;
}

function keyOf(socket: TLSSocket): Uint8Array | undefined {
  try {
    return socket.getPeerX509Certificate()?.publicKey.export({ format: 'der', type: 'spki' });
  } catch {
    // A certificate for a kind of key that OpenSSL does not know is none.
    return undefined;
  }
}
