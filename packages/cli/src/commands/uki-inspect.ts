import { createHash } from 'node:crypto';
import type { ByteSource } from '@osguard/formats/bytes';
import type { Command } from '../command.ts';
import { defineCommand, needed, text } from '../command.ts';
import { parsing } from '../input.ts';
import { renderChecks } from '../render/checks.ts';
import { formatBytes } from '../render/format.ts';
import { printable } from '../render/paint.ts';

/** Sections whose content is a few lines of text. */
const texts = new Set([
  '.osrel',
  '.cmdline',
  '.uname',
  '.sbat',
  '.sdmagic',
  '.pcrsig',
  '.pcrpkey',
  '.profile',
]);

export const ukiInspect: Command = defineCommand({
  description:
    'With --trust the exit status is 1 unless one signature is good and leads to a boot certificate of that folder.',
  options: { trust: text('--trust <folder>', 'keys folder, or one with certificates only') },
  args: { image: needed('<image>', 'the UKI, or any other PE image') },
  examples: [
    { line: 'osguard uki inspect out/uki.efi --trust keys', does: 'what is in it, and would it boot' },
  ],
  async run({ image: file, trust }) {
    const { openFileSource } = await import('@osguard/image');
    const { parsePe, sectionBody, verifyPe } = await import('@osguard/formats/pe');
    const { loadKeyring } = await import('@osguard/keys');
    const trusted = trust === undefined ? [] : (await loadKeyring(trust)).certificates('boot');
    using source = openFileSource(file);
    const { pe, verification } = parsing(file, () => ({
      pe: parsePe(source),
      verification: verifyPe(source, { trusted }),
    }));
    const sections = pe.sections.map((section) => {
      const body = sectionBody(pe, section);
      const content = texts.has(section.name) && body.size <= 65_536 ? textOf(body) : undefined;
      const { name, virtualAddress } = section;
      const facts = {
        name,
        size: body.size,
        offset: section.rawOffset,
        address: virtualAddress,
        sha256: sha256Of(body),
      };
      return content === undefined ? facts : { ...facts, text: content };
    });
    const signatures = verification.signatures.map(({ ok, certificate, checks }) => ({
      ok,
      signer: certificate?.subjectText ?? null,
      fingerprint: certificate?.fingerprint ?? null,
      checks,
    }));
    const { digest } = verification;
    const machine =
      new Map([
        [0x8664, 'x86-64'],
        [0xaa64, 'AArch64'],
        [0x14c, 'i386'],
      ]).get(pe.machine) ?? `0x${pe.machine.toString(16)}`;
    const verdict = trust === undefined ? {} : { trusted: verification.ok };
    return {
      exitCode: trust !== undefined && !verification.ok ? 1 : 0,
      json: { file, machine, digest, ...verdict, sections, signatures },
      async text(paint) {
        const { table } = await import('../render/table.ts');
        const rows = sections.map(({ name, size, sha256 }) => [printable(name), formatBytes(size), sha256]);
        const lines = [
          `${printable(file)}: PE image for ${machine}, Authenticode digest ${digest}`,
          '',
          table(rows, { head: ['section', 'size', 'sha256'] }),
        ];
        for (const section of sections) {
          if (!('text' in section)) continue;
          const content = printable(section.text.trimEnd(), { lines: true }).replaceAll(/^/gm, '  ');
          lines.push('', paint.bold(printable(section.name)), content);
        }
        lines.push('');
        if (signatures.length === 0) lines.push(paint.yellow('not signed'));
        for (const { signer, ok, checks } of signatures) {
          const by = `signature by ${printable(signer ?? 'nobody known')}`;
          if (trust === undefined)
            lines.push(`${by} ${paint.dim('(name the trusted certificates with --trust)')}`);
          else
            lines.push(
              ok ? paint.green(`${by}: good`) : paint.red(`${by}: NOT good`),
              renderChecks(checks, paint),
            );
        }
        return lines.join('\n');
      },
    };
  },
});

function textOf(body: ByteSource): string {
  return Buffer.from(body.read(0, body.size)).toString('utf8').replace(/\0+$/, '');
}

function sha256Of(body: ByteSource): string {
  const hash = createHash('sha256');
  const chunk = 1024 * 1024;
  for (let at = 0; at < body.size; at += chunk) hash.update(body.read(at, Math.min(chunk, body.size - at)));
  return hash.digest('hex');
}
