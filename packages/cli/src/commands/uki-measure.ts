import type { PcrSignature, PcrSignatureBank } from '@osguard/formats/pcr-signature';
import type { Pcr11Value } from '@osguard/image';
import type { Command } from '../command.ts';
import { choice, defineCommand, list, needed, text } from '../command.ts';
import { parsing } from '../input.ts';
import { printable } from '../render/paint.ts';
import { UsageError } from '../report.ts';
import { writeWhole } from '../write-whole.ts';

const banks = ['sha256', 'sha384', 'sha512'] as const;
const phaseName = /^[a-z][a-z0-9-]*(?::[a-z][a-z0-9-]*)*$/;

type Bank = (typeof banks)[number];

export const ukiMeasure: Command = defineCommand({
  description: `What a machine that starts this boot image has in its PCRs before anything else runs: PCR 11 (sections,
as systemd-measure calculates it) after each phase of the boot, PCR 4 (the image itself) and PCR 9 (command line and initrd).

With --sign the role measure signs PCR 11 after each phase: the JSON is what a UKI carries as .pcrsig, and what
systemd-cryptsetup and systemd-creds unseal with.`,
  options: {
    phase: list(
      '--phase <path>',
      'a path of phases, for example enter-initrd:leave-initrd; several times; `:` is none',
    ),
    bank: choice('--bank <name>', 'one bank instead of all', banks),
    sign: text('--sign <folder>', 'keys: the role measure signs PCR 11'),
    out: text('--out <file>', 'where the signatures are to be written'),
  },
  args: { uki: needed('<uki>', 'the boot image') },
  examples: [
    { line: 'osguard uki measure out/uki.efi', does: 'every PCR this image decides' },
    {
      line: 'osguard uki measure out/uki.efi --phase enter-initrd --sign keys --out uki.pcrsig',
      does: 'a policy that opens secrets in the initrd only',
    },
  ],
  async run({ uki: file, phase, bank, sign, out }) {
    if ((sign === undefined) !== (out === undefined)) {
      throw new UsageError('--sign and --out belong together: who signs, and where it goes');
    }
    const { calculatePcr11, openFileSource, phasePaths, sectionsOfUki, ukiEvents } =
      await import('@osguard/image');
    // What opens before the first phase would open for whoever is handed the machine there: signed only when asked for.
    const usual = sign === undefined ? phasePaths : phasePaths.filter((path) => path !== '');
    const paths = phase.length === 0 ? usual : phase.map(parsePath);
    using source = openFileSource(file);
    const wanted: readonly Bank[] = bank === undefined ? banks : [bank];
    const measured = parsing(file, () => {
      const sections = sectionsOfUki(source);
      return wanted.map((each) => ({
        bank: each,
        pcr11: calculatePcr11(sections, { bank: each, paths }),
      }));
    });
    const events = parsing(file, () => ukiEvents(source));
    const signed = sign === undefined ? undefined : await signAll(sign, measured);
    if (signed !== undefined && out !== undefined) {
      const { encodePcrSignatures } = await import('@osguard/formats/pcr-signature');
      await writeWhole(out, encodePcrSignatures(signed));
    }
    return {
      json: { file, measured, ...events, ...(signed !== undefined && { signatures: out }) },
      async text(paint) {
        const { table } = await import('../render/table.ts');
        const lines = measured.flatMap(({ bank: name, pcr11 }) =>
          pcr11.map(
            ({ phases, value }) =>
              `11:${name}=${value}  ${paint.dim(phases === '' ? 'before the first phase' : phases)}`,
          ),
        );
        const rows = [...events.pcr4, ...events.pcr9, ...events.pcr11].map(({ pcr, what, digest }) => [
          String(pcr),
          printable(what),
          digest,
        ]);
        const values = [`4:sha256=${events.values.pcr4}`, `9:sha256=${events.values.pcr9}`];
        const note = out === undefined ? [] : [`signed for ${paths.length} phases: ${printable(out)}`];
        return [
          lines.join('\n'),
          values.join('\n'),
          table(rows, { head: ['PCR', 'event', 'sha256'] }),
          ...note,
        ].join('\n\n');
      },
    };
  },
});

function parsePath(given: string): string {
  if (given === ':') return '';
  if (phaseName.test(given)) return given;
  throw new UsageError(`${given} is no path of phases`, 'names joined by colons: enter-initrd:leave-initrd');
}

interface Measured {
  readonly bank: Bank;
  readonly pcr11: readonly Pcr11Value[];
}

async function signAll(
  folder: string,
  measured: readonly Measured[],
): Promise<Partial<Record<PcrSignatureBank, readonly PcrSignature[]>>> {
  const { loadKeyring, signPcrPolicy } = await import('@osguard/keys');
  const signer = await (await loadKeyring(folder)).signer('measure');
  const signatures: Partial<Record<PcrSignatureBank, readonly PcrSignature[]>> = {};
  for (const { bank, pcr11 } of measured) {
    signatures[bank] = await Promise.all(
      pcr11.map(({ value }) => signPcrPolicy(signer, { bank, values: new Map([[11, value]]) })),
    );
  }
  return signatures;
}
