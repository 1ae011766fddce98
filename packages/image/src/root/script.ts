/** What runs inside the namespace: the scripts of the packages, by dpkg, in the root that was just filled. */

import type { InstallPlan } from './plan.ts';

/** Below the root while it is being installed, and gone afterwards. */
export const workFolder = 'var/tmp/osguard';

/**
 * Runs in the root as its root user. Syncing is left out (`--force-unsafe-io`): a root that was not finished is
 * thrown away anyway. Services are not started (policy-rc.d), nothing asks.
 */
export function installScript({ unpacked, first, triggers }: InstallPlan): string {
  const work = `/${workFolder}`;
  return [
    '#!/bin/sh',
    'set -eu',
    `cat ${work}/placed >> /var/lib/dpkg/status`,
    "printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d",
    'chmod 0755 /usr/sbin/policy-rc.d',
    "dpkg='dpkg --force-unsafe-io --force-confnew'",
    ...(unpacked.length === 0 ? [] : [`$dpkg --force-depends --unpack ${work}/debs/*.deb`]),
    ...first.flatMap((names) =>
      names.length === 0 ? [] : [`$dpkg --force-depends --configure ${names.join(' ')}`],
    ),
    '$dpkg --configure --pending',
    ...triggers.map((name) => `dpkg-trigger --by-package=dpkg --no-await ${quote(name)}`),
    '$dpkg --triggers-only --pending',
    'if dpkg --audit | grep .; then exit 1; fi',
    'rm -f /usr/sbin/policy-rc.d',
    '',
  ].join('\n');
}

/** For a POSIX shell. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
