import { ipeOperations } from '@osguard/formats/ipe';
import type { Command } from '../command.ts';
import { choiceOr, defineCommand, flag, needed, text } from '../command.ts';
import { readIpeFile } from '../input.ts';
import { printable } from '../render/paint.ts';
import { UsageError } from '../report.ts';

export const ipeExplain: Command = defineCommand({
  description: `Without options the file is an ordinary one on a writable disk (or anonymous memory). Exit status 0: allowed, 1: denied.`,
  options: {
    op: choiceOr('--op <operation>', 'what the kernel is asked to do with the file', {
      choices: ipeOperations,
      fallback: 'EXECUTE',
    }),
    bootVerified: flag('--boot-verified', 'the file lies in the initramfs'),
    dmVerity: flag('--dm-verity', 'it lies on a dm-verity volume'),
    signed: flag('--signed', 'the root hash of that volume has a verified signature'),
    rootHash: text('--root-hash <algorithm:hex>', 'root hash of that volume'),
    fsVerity: flag('--fs-verity', 'fs-verity is enabled for the file'),
    fsSigned: flag('--fs-signed', 'and has a verified built-in signature'),
    digest: text('--fs-digest <algorithm:hex>', 'its fs-verity digest'),
  },
  args: { policy: needed('<policy>', 'the policy as text') },
  examples: [
    { line: 'osguard ipe explain host.pol', does: 'a program somebody wrote to /tmp' },
    { line: 'osguard ipe explain host.pol --signed', does: 'a program on a signed volume' },
    {
      line: 'osguard ipe explain host.pol --op KMODULE --boot-verified',
      does: 'a module from the initramfs',
    },
  ],
  async run(values) {
    const { evaluateIpePolicy, formatIpeStatement } = await import('@osguard/formats/ipe');
    const { policy } = await readIpeFile(values.policy);
    const rootHash = digestOf('--root-hash', values.rootHash);
    const digest = digestOf('--fs-digest', values.digest);
    const onVerity = values.dmVerity || values.signed || rootHash !== undefined;
    const withFsVerity = values.fsVerity || values.fsSigned || digest !== undefined;
    const subject = {
      op: values.op,
      bootVerified: values.bootVerified,
      ...(onVerity && { dmVerity: { signed: values.signed, ...(rootHash && { rootHash }) } }),
      ...(withFsVerity && { fsVerity: { signed: values.fsSigned, ...(digest && { digest }) } }),
    };
    const decision = evaluateIpePolicy(policy, subject);
    const tried = decision.tried.map(({ rule, matched, reason }) => ({
      rule: formatIpeStatement(rule),
      line: rule.range?.start.line,
      matched,
      reason,
    }));
    const { action, explanation } = decision;
    const by = { statement: formatIpeStatement(decision.by), line: decision.by.range?.start.line };
    return {
      exitCode: action === 'ALLOW' ? 0 : 1,
      json: { action, explanation, by, tried, subject },
      text(paint) {
        const lines = tried.map(({ rule, line, matched, reason }) => {
          const mark = matched ? paint.green('matches') : paint.dim('no match');
          return `  line ${line ?? '?'}: ${printable(rule)}\n    ${mark}: ${printable(reason)}`;
        });
        const verdict = action === 'ALLOW' ? paint.green(paint.bold('ALLOW')) : paint.red(paint.bold('DENY'));
        return [`${verdict}  ${printable(explanation)}`, ...lines].join('\n');
      },
    };
  },
});

function digestOf(option: string, value: string | undefined): { algorithm: string; hex: string } | undefined {
  if (value === undefined) return undefined;
  const match = /^([^:]+):((?:[0-9a-fA-F]{2})+)$/.exec(value);
  if (match === null)
    throw new UsageError(`${option} is ALGORITHM:HEX, found ${value}`, 'for example sha256:0123…');
  return { algorithm: match[1] ?? '', hex: (match[2] ?? '').toLowerCase() };
}
