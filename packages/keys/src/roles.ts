/**
 * Who may sign what. One role, one certificate, named in its common name; a role never signs another's things.
 *
 * Certificates are self-signed and, but for the verifier's, not authorities: firmware, kernel keyrings and TPM
 * policies trust exact certificates or keys, so an authority above them would only be one more key that could make
 * new signers. The verifier's is one because its servers come and go, and hosts carry this certificate in /usr.
 */

import type { Certificate } from '@osguard/formats/x509';
import { KeysError } from './error.ts';

export const keyRoles = [
  'platform',
  'exchange',
  'boot',
  'usr',
  'layers',
  'release',
  'measure',
  'verifier',
] as const;

export type KeyRole = (typeof keyRoles)[number];

export interface RoleFacts {
  readonly signs: string;
  readonly trustedBy: string;
  /** What its thief could do, by kernel. */
  readonly abuse: { readonly '6.12': string; readonly '7.x': string };
  /**
   * RSA modulus, bits. 2048 where other people's firmware or chips check the signature: it is the one size that
   * every UEFI firmware and TPM 2.0 takes (UEFI 2.10 section 32.4.1, TCG PC Client TPM profile). 3072 where the
   * checker is the kernel or osguard itself.
   */
  readonly rsaBits: 2048 | 3072;
  readonly codeSigning: boolean;
  /** Signs certificates, of end entities only. */
  readonly authority?: boolean;
}

const bootAbuse = 'sign a UKI that boots, an IPE policy the kernel loads, and a volume that opens as signed';
const verityAbuse612 = 'sign a volume that opens as signed; and, because db must hold it, a UKI that boots';

export const roleFacts: Readonly<Record<KeyRole, RoleFacts>> = {
  platform: {
    signs: 'changes of PK and KEK',
    trustedBy: 'firmware (PK)',
    abuse: sameAbuse('replace every key of the firmware, and so boot anything'),
    rsaBits: 2048,
    codeSigning: false,
  },
  exchange: {
    signs: 'changes of db and dbx',
    trustedBy: 'firmware (KEK)',
    abuse: sameAbuse('add a certificate to db, and so boot anything; empty dbx'),
    rsaBits: 2048,
    codeSigning: false,
  },
  boot: {
    signs: 'UKIs and IPE policies',
    trustedBy: 'firmware (db), kernel (.platform keyring)',
    abuse: sameAbuse(bootAbuse),
    rsaBits: 2048,
    codeSigning: true,
  },
  usr: {
    signs: 'the root hash of /usr',
    trustedBy: 'kernel (.dm-verity keyring from 7.x; through db on 6.12)',
    abuse: { '6.12': verityAbuse612, '7.x': 'sign a volume that opens as signed; cannot sign a boot image' },
    rsaBits: 3072,
    codeSigning: true,
  },
  layers: {
    signs: 'root hashes of container layers',
    trustedBy: 'kernel (.dm-verity keyring from 7.x; through db on 6.12)',
    abuse: { '6.12': verityAbuse612, '7.x': 'sign a volume that opens as signed; cannot sign a boot image' },
    rsaBits: 3072,
    codeSigning: true,
  },
  release: {
    signs: 'release manifests, SBOM and provenance statements',
    trustedBy: 'osguard image verify, updaters',
    abuse: sameAbuse('pass off a false release manifest; the host still boots only what boot signed'),
    rsaBits: 3072,
    codeSigning: false,
  },
  measure: {
    signs: 'PCR policies',
    trustedBy: 'TPM policies (secrets sealed to signed PCR values)',
    abuse: sameAbuse('unseal secrets on a host that booted something else'),
    rsaBits: 2048,
    codeSigning: false,
  },
  verifier: {
    signs: "TLS certificates of the verifier's servers",
    trustedBy: 'attestation agents inside hosts, operators of the verifier',
    abuse: sameAbuse(
      'stand in for the verifier: read evidence, hand hosts false secrets; cannot make a host boot',
    ),
    rsaBits: 3072,
    codeSigning: false,
    authority: true,
  },
};

export function isKeyRole(text: string): text is KeyRole {
  return keyRoles.some((role) => role === text);
}

/** The role a certificate names: the last word of its common name; undefined for certificates made elsewhere. */
export function namedRole(certificate: Certificate): KeyRole | undefined {
  const last = certificate.commonName?.split(' ').at(-1);
  return last !== undefined && isKeyRole(last) ? last : undefined;
}

/** @throws KeysError `wrong-role` unless the holder has one of `roles`, which sign `what`. */
export function assertRole(
  holder: { readonly role: KeyRole; readonly certificate: Certificate },
  { roles, what }: { readonly roles: readonly KeyRole[]; readonly what: string },
): void {
  const named = namedRole(holder.certificate) ?? holder.role;
  if (roles.includes(holder.role) && named === holder.role) return;
  throw new KeysError(
    'wrong-role',
    `${what} is signed by the role ${roles.join(' or ')}, not by ${named} (${holder.certificate.subjectText})`,
    { hint: `use the key of the role ${roles.join(' or ')}` },
  );
}

function sameAbuse(text: string): RoleFacts['abuse'] {
  return { '6.12': text, '7.x': text };
}
