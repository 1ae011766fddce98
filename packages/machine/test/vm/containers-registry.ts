/** A registry as hosts meet it: in front of Debian's docker-registry, it can be slow, be cut off, be gone, or want a password. */

import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** Both name themselves in the user agent. */
export type Agent = 'containerd' | 'osguard';

export interface RegistryFault {
  /** Whose downloads of blobs it meets. */
  readonly of: Agent;
  /** The whole registry is gone once this many bytes of one blob were given. */
  readonly goneAfter?: number;
  /** This many bytes a second and blob. */
  readonly rate?: number;
}

export interface FrontOptions {
  readonly port: number;
  /** Port of the registry itself, on loopback. */
  readonly behind: number;
  /** Repositories below `private/` want it. */
  readonly password: { readonly user: string; readonly password: string };
}

export class RegistryFront implements AsyncDisposable {
  readonly #options: FrontOptions;
  readonly #good: string;
  #server: Server | undefined;
  #fault: RegistryFault | undefined;
  readonly #given: Record<Agent, number> = { containerd: 0, osguard: 0 };

  constructor(options: FrontOptions) {
    this.#options = options;
    const { user, password } = options.password;
    this.#good = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  }

  /** Listens (again), without a fault. */
  async open(): Promise<void> {
    this.#fault = undefined;
    if (this.#server !== undefined) return;
    const server = createServer((incoming, response) => {
      this.#pass(incoming, response).catch(() => response.destroy());
    });
    this.#server = server;
    server.listen(this.#options.port, '127.0.0.1');
    await once(server, 'listening');
  }

  /** Nobody listens any more, and who was connected is cut off. */
  async close(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  }

  fail(fault: RegistryFault): void {
    this.#fault = fault;
  }

  /** @returns what tells how many bytes of blobs it was given since. */
  count(agent: Agent): () => number {
    const before = this.#given[agent];
    return () => this.#given[agent] - before;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #pass(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = incoming.url ?? '/';
    const { authorization, ...headers } = incoming.headers;
    if (path.startsWith('/v2/private/') && authorization !== this.#good) {
      incoming.resume();
      response.writeHead(401, { 'www-authenticate': 'Basic realm="private"' }).end();
      return;
    }
    const outgoing = request({
      host: '127.0.0.1',
      port: this.#options.behind,
      path,
      method: incoming.method,
      headers,
      agent: false,
    });
    response.on('close', () => outgoing.destroy());
    outgoing.on('error', () => response.destroy());
    incoming.pipe(outgoing);
    const [answer]: IncomingMessage[] = await once(outgoing, 'response');
    if (answer === undefined) throw new Error('no answer');
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    const name = incoming.headers['user-agent'] ?? '';
    const agent: Agent = name.startsWith('osguard') ? 'osguard' : 'containerd';
    const isBlob = path.includes('/blobs/sha256:') && incoming.method === 'GET';
    if (!isBlob) {
      answer.pipe(response);
      return;
    }
    const fault = this.#fault?.of === agent ? this.#fault : { of: agent };
    await this.#give(answer, response, fault);
  }

  async #give(answer: IncomingMessage, response: ServerResponse, fault: RegistryFault): Promise<void> {
    const { of, rate, goneAfter = Number.POSITIVE_INFINITY } = fault;
    const gone = Promise.withResolvers<void>();
    response.once('close', () => gone.resolve());
    let given = 0;
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      if (given >= goneAfter) {
        await this.close();
        return;
      }
      const piece = chunk.subarray(0, goneAfter - given);
      given += piece.length;
      this.#given[of] += piece.length;
      const written = Promise.withResolvers<void>();
      response.write(piece, () => written.resolve());
      await Promise.race([written.promise, gone.promise]);
      if (response.destroyed) return;
      if (rate !== undefined) await sleep((piece.length / rate) * 1000);
    }
    response.end();
  }
}
