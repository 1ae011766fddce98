/** The way to a TPM: one command out, one response back, never two at a time. */

export interface TpmTransport {
  /** @throws TpmError (`transport`) when no whole response comes back. */
  send(command: Uint8Array): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Bytes: MAX_RESPONSE_SIZE of the reference implementation. */
export const largestResponse = 4096;

/** Commands of several callers wait for each other. */
export function oneAtATime(transport: TpmTransport): TpmTransport {
  let last: Promise<unknown> = Promise.resolve();
  const queue = async <T>(work: () => Promise<T>): Promise<T> => {
    const turn = last.then(work, work);
    last = turn.catch(() => undefined);
    return turn;
  };
  return {
    send: async (command) => queue(async () => transport.send(command)),
    close: async () => queue(async () => transport.close()),
  };
}
