/**
 * Lines for the journal: standard error with the level in front, sd-daemon(3). `notice` and above also reach the serial
 * console of the host. A line never holds a secret, a nonce or a key.
 */

export interface Log {
  readonly debug: (line: string) => void;
  readonly info: (line: string) => void;
  readonly notice: (line: string) => void;
  readonly warning: (line: string) => void;
  readonly error: (line: string) => void;
}

/** Characters; what others sent may be in a line. */
const longestLine = 900;

export function createLog(write: (line: string) => void): Log {
  const level =
    (priority: number) =>
    (line: string): void => {
      for (const part of line.split('\n')) {
        if (part !== '') write(`<${priority}>${part.replaceAll(/\p{C}/gu, '?').slice(0, longestLine)}\n`);
      }
    };
  return { debug: level(7), info: level(6), notice: level(5), warning: level(4), error: level(3) };
}
