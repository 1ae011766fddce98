/** One tool of the host run to its end, with nothing of this process's environment. */

import { execFile } from 'node:child_process';

export interface ToolResult {
  readonly status: number;
  readonly output: string;
}

/** Tools that do not answer are stopped after this many milliseconds. */
const patience = 120_000;

/** @throws when the tool cannot be started or was stopped. */
export function runTool(program: string, args: readonly string[]): Promise<ToolResult> {
  return new Promise((resolve, reject) => {
    execFile(
      program,
      args,
      { env: { PATH: '/usr/bin:/usr/sbin', LC_ALL: 'C' }, timeout: patience, maxBuffer: 1 << 20 },
      (error, stdout, stderr) => {
        const output = `${stdout}${stderr}`.trim();
        if (error === null) resolve({ status: 0, output });
        else if (typeof error.code === 'number') resolve({ status: error.code, output });
        else reject(error);
      },
    );
  });
}
