import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { EventLog } from '@osguard/formats/eventlog';
import type { ReferenceValues } from '@osguard/formats/reference-values';
import type { UserspaceRecord } from '@osguard/formats/userspace-log';
import type { Command, Outcome } from '../command.ts';
import { defineCommand, list, needed, text } from '../command.ts';
import { parsing } from '../input.ts';
import { printable } from '../render/paint.ts';
import { UsageError } from '../report.ts';

interface Machine {
  readonly log: EventLog;
  readonly records: readonly UserspaceRecord[];
  readonly commandLine?: string | undefined;
  /** As the evidence gives them. */
  readonly values?: ReadonlyMap<number, string>;
}

export const attestExplain: Command = defineCommand({
  description: `Reads what a machine measured and says which event of which PCR differs from a release, what was
expected, and where the expectation comes from. Without --release it lists the events.

The log is binary_bios_measurements of the kernel (/sys/kernel/security/tpm0), or the evidence a node sent. Nothing here
is checked against a TPM: osguard attest verify does that. The exit status is 1 when the machine differs.`,
  options: {
    userspace: text('--userspace <file>', 'the log of systemd (/run/log/systemd/tpm2-measure.log)'),
    release: list(
      '--release <folder>',
      'release folder or its reference-values.json; further ones are recognised',
    ),
    trust: text('--trust <folder>', 'keys: the release must be signed by its role release'),
    commandLine: text('--command-line <text>', 'what the machine says it was started with (/proc/cmdline)'),
  },
  args: { log: needed('<log>', 'firmware event log, or evidence (JSON)') },
  examples: [
    {
      line: 'osguard attest explain binary_bios_measurements --userspace tpm2-measure.log --release out',
      does: 'is this what the release measures, and if not, why',
    },
    {
      line: 'osguard attest explain evidence.json --release out --trust keys',
      does: 'the same for evidence',
    },
    { line: 'osguard attest explain binary_bios_measurements', does: 'what is in the log' },
  ],
  async run({ log: file, userspace, release, trust, commandLine }) {
    const machine = await readMachine(file, { userspace, commandLine });
    const [chosen, ...others] = release;
    if (chosen === undefined) {
      if (trust !== undefined)
        throw new UsageError('--trust says who signed a --release, and none was given');
      return listing(machine);
    }
    const { compareWithRelease } = await import('@osguard/attest');
    const reference = await readReference(chosen, trust);
    const known = await Promise.all(others.map((each) => readReference(each, trust)));
    const comparison = parsing(file, () => compareWithRelease({ ...machine, reference, known }));
    const { renderComparison } = await import('../render/comparison.ts');
    return {
      exitCode: comparison.ok ? 0 : 1,
      json: { trusted: trust !== undefined, ...comparison },
      text: (paint) => {
        const note = paint.dim('nobody checked who signed this release: name the keys with --trust');
        const untold = comparison.differences.some(
          ({ expected, found }) =>
            /command line|\.cmdline/.test(expected?.what ?? '') && found?.text === undefined,
        );
        const hint = untold
          ? [paint.dim("name the machine's /proc/cmdline with --command-line to see what it was")]
          : [];
        const shown = `${printable(file)} ${renderComparison(comparison, paint)}`;
        return [shown, ...hint, ...(trust === undefined ? [note] : [])].join('\n\n');
      },
    };
  },
});

interface MachineFiles {
  readonly userspace: string | undefined;
  readonly commandLine: string | undefined;
}

async function readMachine(file: string, { userspace, commandLine }: MachineFiles): Promise<Machine> {
  const { parseEventLog } = await import('@osguard/formats/eventlog');
  const { parseUserspaceLog } = await import('@osguard/formats/userspace-log');
  const bytes = await readFile(file);
  if (bytes[0] !== 0x7b) {
    const records =
      userspace === undefined
        ? []
        : await readFile(userspace).then((log) => parsing(userspace, () => parseUserspaceLog(log)));
    return { log: parsing(file, () => parseEventLog(bytes)), records, commandLine };
  }
  if (userspace !== undefined)
    throw new UsageError('evidence has the userspace log inside: leave --userspace out');
  const { parseEvidence } = await import('@osguard/attest');
  const evidence = parseEvidence(bytes);
  return {
    log: parsing(file, () => parseEventLog(evidence.firmwareLog)),
    records: parsing(file, () => parseUserspaceLog(Buffer.from(evidence.userspaceLog, 'utf8'))),
    commandLine: commandLine ?? evidence.commandLine,
    values: evidence.pcrs,
  };
}

/** @throws when a trusted key is asked for and did not sign */
async function readReference(path: string, trust: string | undefined): Promise<ReferenceValues> {
  const { parseReferenceValues } = await import('@osguard/formats/reference-values');
  const folder = (await stat(path)).isDirectory();
  const file = folder ? join(path, 'reference-values.json') : path;
  const bytes = await readFile(file);
  if (trust === undefined) return parsing(file, () => parseReferenceValues(bytes));
  if (!folder) throw new UsageError('--trust needs the release folder: release.json holds the signature');
  const { loadKeyring } = await import('@osguard/keys');
  const { openReferenceRelease } = await import('@osguard/attest');
  const certificates = (await loadKeyring(trust)).certificates('release');
  const manifest = await readFile(join(path, 'release.json'));
  return openReferenceRelease(
    { manifest, referenceValues: bytes },
    { trust: certificates, state: 'promoted' },
  ).values;
}

/** What was measured, PCR by PCR. */
async function listing({ log, records }: Machine): Promise<Outcome> {
  const { checkEventDigest, describeEvent, replay } = await import('@osguard/formats/eventlog');
  const { replayUserspace } = await import('@osguard/formats/userspace-log');
  const { toHex } = await import('@osguard/formats/bytes');
  const bank = log.banks.includes('sha256') ? 'sha256' : (log.banks[0] ?? 'sha1');
  const start = replay(log, bank);
  const values = new Map([...start, ...replayUserspace(records, bank, { start })]);
  const events = log.events.map((event) => ({
    log: 'firmware',
    index: event.index,
    offset: event.offset,
    pcr: event.pcr,
    type: event.typeName,
    digest: toHex(event.digests[bank] ?? new Uint8Array()),
    says: describeEvent(event),
    data: safely(() => checkEventDigest(event, bank)),
  }));
  const later = records.map((record) => ({
    log: 'userspace',
    index: record.index,
    offset: record.offset,
    pcr: record.pcr,
    type: record.eventType ?? 'unknown',
    digest: toHex(record.digests[bank] ?? new Uint8Array()),
    says: record.text ?? '',
    data: 'matches',
  }));
  const all = [...events, ...later];
  return {
    json: { format: log.format, banks: log.banks, bank, events: all, pcrs: Object.fromEntries(values) },
    async text(paint) {
      const { table } = await import('../render/table.ts');
      const rows = all.map(({ pcr, type, digest, says, data }) => [
        type === 'EV_NO_ACTION' ? '-' : String(pcr),
        type,
        `${digest.slice(0, 16)}…`,
        data === 'differs'
          ? paint.red(`${printable(says)} (its digest is of something else)`)
          : printable(says),
      ]);
      const made = [...values].sort(([a], [b]) => a - b).map(([pcr, value]) => [String(pcr), value]);
      return [
        `${log.format} log, banks ${log.banks.join(', ')}`,
        table(rows, { head: ['PCR', 'type', bank, 'what the log says'] }),
        table(made, { head: ['PCR', `value in the bank ${bank}`] }),
      ].join('\n\n');
    },
  };
}

function safely(check: () => string): string {
  try {
    return check();
  } catch {
    return 'differs';
  }
}
