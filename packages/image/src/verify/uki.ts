/** The UKI: who signed it, what command line it binds, what its initrd carries. */

import type { ByteSource } from '@osguard/formats/bytes';
import { parsePe, readUkiSection } from '@osguard/formats/pe';
import type { PeImage, PeVerification } from '@osguard/formats/pe';
import type { RootHash } from '@osguard/formats/verity';
import { parseRootHash } from '@osguard/formats/verity';
import type { Keyring } from '@osguard/keys';
import type { BootImage } from './boot-image.ts';
import type { CheckList } from './checks.ts';
import { CheckFailed } from './checks.ts';
import type { InitrdFiles } from './initrd-files.ts';
import { readInitrd } from './initrd-files.ts';

export interface FoundUki {
  readonly image: PeImage;
  readonly commandLine: string;
  readonly rootHash: RootHash;
  readonly initrd: InitrdFiles;
}

export interface UkiInput {
  readonly boot: BootImage;
  readonly trust: Keyring;
  /** Told as soon as it is known: unpacking the initrd takes longer than all before it. */
  readonly onRootHash: (rootHash: RootHash) => void;
}

export async function checkUki(
  list: CheckList,
  { boot, trust, onRootHash }: UkiInput,
): Promise<FoundUki | undefined> {
  const signed = await list.check(
    { id: 'uki-signature', title: 'the UKI is signed by the role boot, and every byte of it is covered' },
    () => {
      const trusted = trust.certificates('boot');
      if (trusted.length === 0) throw new CheckFailed('no certificate of the role boot is trusted');
      const { digest, signatures } = boot.verification();
      const good = signatures.find(({ ok }) => ok);
      if (good === undefined) throw new CheckFailed(whyNot(signatures));
      return {
        found: `${good.certificate?.subjectText ?? 'signed'}, sha256 ${digest}`,
        value: parsePe(boot.source),
      };
    },
  );
  // What follows is looked at even when nobody trusted signed it, so that one report names every fault.
  const image = signed ?? tryParse(boot.source);
  if (image === undefined) {
    for (const name of [names.line, names.hash, names.initrd]) list.missing(name, 'the UKI cannot be parsed');
    return undefined;
  }
  const commandLine = await list.check(names.line, () => {
    const section = readUkiSection(image, '.cmdline');
    if (section === undefined)
      throw new CheckFailed('no section .cmdline: the firmware or a user could set it');
    const value = Buffer.from(section.read(0, section.size)).toString('utf8').replace(/\0+$/, '').trimEnd();
    return { found: value, value };
  });
  const rootHash =
    commandLine === undefined
      ? undefined
      : await list.check(names.hash, () => {
          const [word, ...others] = commandLine.split(' ').filter((each) => each.startsWith('usrhash='));
          if (word === undefined || others.length > 0) {
            throw new CheckFailed(`${others.length + (word === undefined ? 0 : 1)} arguments usrhash=`);
          }
          const value = parseRootHash(word.slice('usrhash='.length));
          return { found: value, value };
        });
  if (rootHash !== undefined) onRootHash(rootHash);
  const initrd = await list.check(names.initrd, () => {
    const section = readUkiSection(image, '.initrd');
    if (section === undefined) throw new CheckFailed('no section .initrd');
    const value = readInitrd(section);
    return { found: `${value.entries.size} entries, ${value.unpackedSize} bytes unpacked`, value };
  });
  if (commandLine === undefined || rootHash === undefined || initrd === undefined) return undefined;
  return { image, commandLine, rootHash, initrd };
}

const names = {
  line: { id: 'uki-cmdline', title: 'the command line is bound inside the signed image' },
  hash: { id: 'uki-usrhash', title: 'the command line names one root hash of /usr' },
  initrd: { id: 'uki-initrd', title: 'the initrd unpacks as the kernel would' },
} as const;

function tryParse(source: ByteSource): PeImage | undefined {
  try {
    return parsePe(source);
  } catch {
    return undefined; // uki-signature has recorded why.
  }
}

function whyNot(signatures: PeVerification['signatures']): string {
  if (signatures.length === 0) return 'not signed';
  return signatures
    .map(({ certificate, checks }) => {
      const failed = checks.find(({ ok }) => !ok);
      return `${certificate?.subjectText ?? 'unknown signer'}: ${failed?.id ?? ''} ${failed?.found ?? ''}`;
    })
    .join('; ');
}
