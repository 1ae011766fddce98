/** The command's surroundings, handed in so that tests can give their own. */

export interface OutputStream {
  readonly isTTY?: boolean;
  /** Characters, when it is a terminal. */
  readonly columns?: number;
  write(text: string): unknown;
}

export interface Io {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted by the first SIGINT, SIGTERM or SIGHUP. */
  readonly signal: AbortSignal;
  /** From then on SIGHUP does not end the command but calls this. */
  readonly onHangup?: (listener: () => void) => void;
}
