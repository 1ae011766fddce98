/** What the kernel will enforce: the IPE policy of the initrd, the command line, SELinux in /usr. */

import { equalBytes } from '@osguard/formats/bytes';
import { parseSignedData, verifySignedData } from '@osguard/formats/cms';
import type { ErofsImage } from '@osguard/formats/erofs';
import type { IpeOperation, IpePolicy } from '@osguard/formats/ipe';
import { evaluateIpePolicy, parseIpePolicy } from '@osguard/formats/ipe';
import type { Keyring } from '@osguard/keys';
import type { CheckList } from './checks.ts';
import { CheckFailed } from './checks.ts';
import type { InitrdFiles } from './initrd-files.ts';

const policyPath = /^etc\/ipe\/([^/]+)\.p7b$/;
const signerPath = /^etc\/verity\/trust\/(.+)\.der$/;
/** Bytes; SELinux configuration is a handful of lines. */
const largestConfiguration = 64 * 1024;
const selinuxFolder = '/share/selinux-etc';

/** Operations an unsigned file must not get through, whatever else the policy says. */
const guarded: readonly IpeOperation[] = [
  'EXECUTE',
  'FIRMWARE',
  'KMODULE',
  'KEXEC_IMAGE',
  'KEXEC_INITRAMFS',
  'POLICY',
];

export async function checkIpe(list: CheckList, initrd: InitrdFiles, trust: Keyring): Promise<void> {
  const signed = await list.check(
    { id: 'ipe-signature', title: 'every IPE policy of the initrd is signed by the role boot' },
    () => {
      const trusted = trust.certificates('boot');
      const policies: { readonly name: string; readonly policy: IpePolicy }[] = [];
      for (const path of initrd.entries.keys()) {
        const name = policyPath.exec(path)?.[1];
        if (name === undefined) continue;
        const message = parseSignedData(initrd.read(path) ?? new Uint8Array());
        const [result, ...others] = verifySignedData(message, { trusted });
        const failed = result?.checks.find(({ ok }) => !ok);
        if (
          result === undefined ||
          others.length > 0 ||
          failed !== undefined ||
          message.content === undefined
        ) {
          throw new CheckFailed(
            failed === undefined ? 'not one signer around a policy' : `${failed.id}: ${failed.found}`,
            {
              where: path,
            },
          );
        }
        policies.push({ name, policy: parseIpePolicy(message.content) });
      }
      if (policies.length === 0)
        throw new CheckFailed('the initrd holds no IPE policy: nothing would be enforced');
      return { found: policies.map(({ name }) => name).join(', '), value: policies };
    },
  );
  const name = { id: 'ipe-decisions', title: 'the IPE policy denies everything unsigned' };
  if (signed === undefined) {
    list.missing(name, 'no policy with a good signature');
    return;
  }
  await list.check(name, () => {
    // Policies are activated in the order of their names; the last one is the active one.
    const { policy } = signed.toSorted((a, b) => (a.name < b.name ? -1 : 1)).at(-1) ?? {};
    if (policy === undefined) throw new CheckFailed('no policy');
    for (const op of guarded) {
      const { action, explanation } = evaluateIpePolicy(policy, { op });
      if (action !== 'DENY') throw new CheckFailed(`${op} of an unsigned file is allowed: ${explanation}`);
      const onVolume = evaluateIpePolicy(policy, { op, dmVerity: { signed: false } });
      if (onVolume.action !== 'DENY') {
        throw new CheckFailed(`${op} from an unsigned dm-verity volume is allowed: ${onVolume.explanation}`);
      }
    }
    const own = evaluateIpePolicy(policy, { op: 'EXECUTE', dmVerity: { signed: true } });
    if (own.action !== 'ALLOW') throw new CheckFailed(`signed volumes could not execute: ${own.explanation}`);
    return { found: guarded.join(', '), value: undefined };
  });
}

/** Whose signatures open volumes: certificates the initrd loads into the keyring .dm-verity before it seals it. */
export async function checkVolumeSigners(
  list: CheckList,
  initrd: InitrdFiles,
  trust: Keyring,
): Promise<void> {
  const name = {
    id: 'volume-signers',
    title: 'the initrd lets only the roles usr and layers sign volumes',
    where: 'initrd /etc/verity/trust',
  };
  await list.check(name, () => {
    const known = [...trust.certificates('usr'), ...trust.certificates('layers')];
    const loaded = [...initrd.entries.keys()].filter((path) => signerPath.test(path));
    const foreign = loaded.find((path) => {
      const der = initrd.read(path);
      return der === undefined || !known.some((certificate) => equalBytes(certificate.der, der));
    });
    if (foreign !== undefined) {
      throw new CheckFailed(`/${foreign} is no trusted certificate of the role usr or layers`);
    }
    const names = loaded.map((path) => signerPath.exec(path)?.[1] ?? '');
    return {
      found: names.length === 0 ? 'none: the firmware decides (kernels before 7.0)' : names.join(', '),
      value: undefined,
    };
  });
}

interface LineRule {
  readonly expected: string;
  holds(line: readonly string[]): boolean;
}

const lineRules: readonly LineRule[] = [
  {
    expected: 'lsm= with lockdown, yama, ipe and selinux',
    holds: (line) => {
      const modules =
        line
          .findLast((word) => word.startsWith('lsm='))
          ?.slice(4)
          .split(',') ?? [];
      return ['lockdown', 'yama', 'ipe', 'selinux'].every((module) => modules.includes(module));
    },
  },
  {
    expected: 'no ipe.enforce=0, enforcing=0, selinux=0 or lockdown=none',
    holds: (line) =>
      !line.some((word) => /^(?:ipe\.enforce=0|enforcing=0|selinux=0|lockdown=none)$/.test(word)),
  },
  {
    expected: 'proc_mem.force_override=never',
    holds: (line) => line.includes('proc_mem.force_override=never'),
  },
  {
    expected: 'systemd.import_credentials=no',
    holds: (line) => line.includes('systemd.import_credentials=no'),
  },
  {
    expected: 'panic-on-corruption for /usr',
    holds: (line) => line.some((word) => /^systemd\.verity_usr_options=.*\bpanic-on-corruption\b/.test(word)),
  },
  {
    expected: 'a final --, after which the kernel interprets nothing',
    holds: (line) => line.at(-1) === '--',
  },
];

export async function checkCommandLine(list: CheckList, commandLine: string): Promise<void> {
  await list.check(
    { id: 'cmdline-hardening', title: 'the command line switches every protection on' },
    () => {
      const words = commandLine.split(' ');
      const missing = lineRules.filter((rule) => !rule.holds(words)).map(({ expected }) => expected);
      if (missing.length > 0) throw new CheckFailed(`lacks ${missing.join('; ')}`);
      return { found: `${words.length} arguments`, value: undefined };
    },
  );
}

export async function checkSelinux(list: CheckList, usr: ErofsImage | undefined): Promise<void> {
  const name = {
    id: 'selinux',
    title: 'SELinux is enforcing with the policy inside /usr',
    where: `/usr${selinuxFolder}`,
  };
  if (usr === undefined) {
    list.missing(name, 'the file system of /usr is not verified');
    return;
  }
  await list.check(name, () => {
    const read = (path: string): Uint8Array => {
      const node = usr.lookup(`${selinuxFolder}/${path}`);
      if (node?.type !== 'file') throw new CheckFailed(`no file ${path}`);
      if (node.size > largestConfiguration) throw new CheckFailed(`${path} has ${node.size} bytes`);
      return usr.read(node, 0, node.size);
    };
    const settings = new Map(
      Buffer.from(read('config'))
        .toString('utf8')
        .split('\n')
        .filter((line) => /^[A-Z]+=/.test(line))
        .map((line): [string, string] => {
          const at = line.indexOf('=');
          return [line.slice(0, at), line.slice(at + 1).trim()];
        }),
    );
    if (settings.get('SELINUX') !== 'enforcing') {
      throw new CheckFailed(`SELINUX=${settings.get('SELINUX') ?? ''}`, { expected: 'SELINUX=enforcing' });
    }
    const folder = usr.lookup(`${selinuxFolder}/${settings.get('SELINUXTYPE') ?? ''}/policy`);
    const policies = folder?.type === 'directory' ? usr.directory(folder).map(({ name: file }) => file) : [];
    if (!policies.some((file) => /^policy\.\d+$/.test(file))) throw new CheckFailed('no compiled policy');
    return { found: `${settings.get('SELINUXTYPE')}, ${policies.join(', ')}`, value: undefined };
  });
}
