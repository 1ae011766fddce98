/** A host with one unit more that shows what the machine measured: logs and PCR values on the second serial line. */

import { writeFileSync } from 'node:fs';
import type { ReleaseFolder } from '@osguard/image';
import { buildImage, defaultCacheFolder } from '@osguard/image';
import type { Keyring } from '@osguard/keys';
import type { Scratch } from '@osguard/testkit';
import type { DiskOptions, Tools } from '../../src/index.ts';
import { startMachine } from '../../src/index.ts';
import { enrolledVariables } from '../../src/prove/variables.ts';

const pcrs = Array.from({ length: 24 }, (_, index) => index);
const pcrFile = (pcr: number): string => `/sys/class/tpm/tpm0/pcr-sha256/${pcr}`;

/** Nothing but coreutils of the signed /usr runs: what is measured stays that of a host without it, but for the unit in /usr. */
const unit = `[Unit]
Description=Shows what was measured
After=multi-user.target systemd-pcrphase.service

[Service]
Type=oneshot
StandardOutput=file:/dev/ttyS1
StandardError=file:/dev/ttyS1
ExecStart=/usr/bin/echo BEGIN
ExecStart=/usr/bin/base64 -w 0 /sys/kernel/security/tpm0/binary_bios_measurements
ExecStart=/usr/bin/echo
ExecStart=/usr/bin/base64 -w 0 /run/log/systemd/tpm2-measure.log
ExecStart=/usr/bin/echo
ExecStart=/usr/bin/head -v ${pcrs.map(pcrFile).join(' ')}
ExecStart=/usr/bin/echo
ExecStart=/usr/bin/cat /proc/cmdline
ExecStart=/usr/bin/echo END

[Install]
WantedBy=multi-user.target
`;

export interface MeasuredHostOptions {
  readonly keyring: Keyring;
  /** Of the kernel. */
  readonly line: '7.x' | '6.12';
}

/** Builds the host and its release folder below `folder`. */
export async function buildMeasuredHost(
  folder: Scratch,
  options: MeasuredHostOptions,
): Promise<ReleaseFolder> {
  const { line } = options;
  const definition = folder.file(`${line}.yaml`);
  const indented = unit.replaceAll(/^(?=.)/gm, '      ');
  writeFileSync(
    definition,
    `schema: osguard/v1
name: measured-host
version: "1"
kernel: { line: "${line}" }
packages: [coreutils]
files:
  - path: /etc/systemd/system/measured.service
    content: |
${indented}
units: { enable: [measured.service] }
disk: { esp: 128 MiB, usr: 320 MiB, var: 256 MiB }
`,
  );
  const { release } = await buildImage({
    definition,
    keyring: options.keyring,
    output: folder.file(`release-${line}`),
    cacheFolder: defaultCacheFolder(),
    sink: () => undefined,
  });
  return release;
}

export interface BootMeasuredOptions {
  readonly tools: Tools;
  readonly folder: Scratch;
  readonly keyring: Keyring;
  /** Instead of the release's own disk. */
  readonly disks?: readonly DiskOptions[];
  readonly smbios?: readonly string[];
}

export interface Measured {
  readonly firmwareLog: Uint8Array;
  readonly userspaceLog: Uint8Array;
  /** As the TPM holds them, bank sha256. PCR → lower-case hex. */
  readonly pcrs: ReadonlyMap<number, string>;
  readonly commandLine: string;
}

/** Boots and waits until everything was shown. TCG on a busy machine needs minutes. */
export async function bootMeasured(release: ReleaseFolder, options: BootMeasuredOptions): Promise<Measured> {
  const { tools, folder, keyring } = options;
  const variables = folder.file(`variables-${release.manifest.kernel}.fd`);
  writeFileSync(variables, enrolledVariables(keyring, { tools, release }));
  const disk: DiskOptions = { path: release.file('disk.raw'), format: 'raw', writes: 'snapshot' };
  await using machine = await startMachine({
    tools,
    variables,
    disks: options.disks ?? [disk],
    smbios: options.smbios ?? [],
    serialLines: 2,
    onReset: 'exit',
  });
  const shown = machine.serials[1];
  if (shown === undefined) throw new Error('no second serial line');
  const stopped = machine.console
    .waitFor(/Kernel panic|osguard: boot refused|No bootable option|Freezing execution/, {
      timeoutMs: 15 * 60_000,
    })
    .then(({ text }) => {
      throw new Error(`the host did not come up: ${text}`);
    });
  stopped.catch(() => undefined);
  await Promise.race([shown.waitFor(/^END/, { timeoutMs: 15 * 60_000 }), stopped]);
  return parseShown(shown.lines.map(({ text }) => text));
}

function parseShown(lines: readonly string[]): Measured {
  const start = lines.findIndex((line) => line.startsWith('BEGIN'));
  const [firmware = '', userspace = '', ...rest] = lines.slice(start + 1);
  const values = rest.flatMap((line, index) => {
    const pcr = /pcr-sha256\/(\d+) <==/.exec(line)?.[1];
    return pcr === undefined ? [] : [[Number(pcr), (rest[index + 1] ?? '').trim().toLowerCase()] as const];
  });
  return {
    firmwareLog: Buffer.from(firmware, 'base64'),
    userspaceLog: Buffer.from(userspace, 'base64'),
    pcrs: new Map(values),
    commandLine: rest.at(rest.findIndex((line) => line.startsWith('END')) - 1) ?? '',
  };
}
