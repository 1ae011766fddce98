/**
 * Who may sign layers here, and which of them no longer: decided before the kernel is asked. The kernel's keyrings also
 * hold the signer of /usr, the firmware's and the distribution's; none of them signs layers.
 */

import { FormatError } from '@osguard/formats/bytes';
import { allSignersGood, parseSignedData, verifyRootHashSignature } from '@osguard/formats/cms';
import type { Certificate } from '@osguard/formats/x509';
import { isNamed } from '@osguard/layers';
import { SnapshotterError } from './error.ts';
import type { Revocations } from './revocations.ts';

export interface LayerAuthority {
  /** A layer without signature is asked about only with `mode: audit`. @throws SnapshotterError `layer-refused`, `layer-revoked` */
  assertAccepted(rootHash: string, signature: Uint8Array | undefined): void;
}

export interface CertificateAuthorityOptions {
  /** Of the role layers, out of signed /usr. */
  readonly signers: readonly Certificate[];
  readonly revocations: Revocations;
}

const mostKnown = 4096;

/**
 * Judges by the certificate a signature names, with the key of that certificate. The name alone would not do: the kernel
 * also follows certificates inside the message, so whoever holds another key it trusts, a revoked one for instance, could
 * put in a certificate of his own with the name and number of a good signer.
 */
export class CertificateLayerAuthority implements LayerAuthority {
  readonly #options: CertificateAuthorityOptions;
  /** Signatures found good, by root hash: each start of a container asks about all its layers. */
  readonly #good = new Map<string, { readonly signature: Uint8Array; readonly signer: Certificate }>();

  constructor(options: CertificateAuthorityOptions) {
    this.#options = options;
  }

  assertAccepted(rootHash: string, signature: Uint8Array | undefined): void {
    const { revocations } = this.#options;
    revocations.refresh();
    const revoked = revocations.rootHash(rootHash);
    if (revoked !== undefined) {
      throw new SnapshotterError(
        'layer-revoked',
        `the layer of root hash ${rootHash} was revoked: ${revoked}`,
      );
    }
    if (signature === undefined) return;
    const signer = this.#signerOf(rootHash, signature);
    const why = revocations.signer(signer.fingerprint);
    if (why === undefined) return;
    throw new SnapshotterError(
      'layer-revoked',
      `${signer.subjectText}, who signed ${rootHash}, was revoked: ${why}`,
    );
  }

  /** @throws SnapshotterError `layer-refused` */
  #signerOf(rootHash: string, signature: Uint8Array): Certificate {
    const known = this.#good.get(rootHash);
    if (known !== undefined && Buffer.compare(known.signature, signature) === 0) return known.signer;
    const signer = signerOf(signature, this.#options.signers);
    if (!isGood(signature, rootHash, signer)) {
      throw new SnapshotterError(
        'layer-refused',
        `the signature of ${rootHash} does not verify with the key of ${signer.subjectText}, whom it names`,
      );
    }
    if (this.#good.size >= mostKnown) this.#good.clear();
    this.#good.set(rootHash, { signature: Uint8Array.from(signature), signer });
    return signer;
  }
}

/** One signer only: the kernel is content with any of several. */
function signerOf(signature: Uint8Array, signers: readonly Certificate[]): Certificate {
  let info;
  try {
    const message = parseSignedData(signature);
    if (message.signers.length === 1) [info] = message.signers;
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new SnapshotterError('layer-refused', `the signature cannot be read: ${cause.message}`, { cause });
  }
  if (info === undefined) throw new SnapshotterError('layer-refused', 'the signature has not one signer');
  const named = info;
  const found = signers.find((certificate) => isNamed(named, certificate));
  if (found !== undefined) return found;
  const { signer } = info;
  const serial =
    signer.kind === 'issuer' ? `number ${Buffer.from(signer.serial).toString('hex')}` : 'unknown';
  throw new SnapshotterError(
    'layer-refused',
    `signed with a certificate (${serial}) that may not sign layers on this host; these may: ${signers
      .map(({ subjectText }) => subjectText)
      .join(', ')}`,
  );
}

/** Detached, over plain data, as the kernel takes it. */
function isGood(signature: Uint8Array, rootHash: string, signer: Certificate): boolean {
  try {
    return allSignersGood(verifyRootHashSignature(signature, rootHash, { trusted: [signer] }));
  } catch (cause) {
    if (cause instanceof FormatError) return false;
    throw cause;
  }
}
