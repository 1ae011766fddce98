/**
 * Signed variable updates, `.auth` files: EFI_VARIABLE_AUTHENTICATION_2 and the new content (UEFI 2.10 section
 * 8.2.2). The signature covers name, vendor, attributes, time and content.
 */

import { ByteReader, ByteWriter, encodeGuid, FormatError, parseGuid } from '../bytes/index.ts';
import { parseSignedData, planVariableSignature, verifySignedData } from '../cms/index.ts';
import type { SignedDataPlan, SignerResult, TrustOptions } from '../cms/index.ts';
import type { Certificate } from '../x509/index.ts';
import { pkcs7CertificateGuid } from './guids.ts';
import { efiTimeSize, encodeEfiTime, parseEfiTime } from './time.ts';

export interface VariableUpdate {
  readonly name: string;
  /** GUID. */
  readonly vendor: string;
  /** As given to SetVariable: with the append bit (0x40) the content is added. */
  readonly attributes: number;
  /** Milliseconds since 1970, whole seconds. Firmware takes a replacement only when it is later than the last. */
  readonly timestamp: number;
  readonly content: Uint8Array;
}

export interface AuthenticatedVariable {
  readonly timestamp: number;
  /** SignedData, usually without ContentInfo. */
  readonly signature: Uint8Array;
  readonly content: Uint8Array;
}

const winCertGuidHeader = 24;
const winCertUefiGuid = 0x0ef1;
const winCertRevision = 0x0200;

/** @throws FormatError */
export function parseAuthenticatedVariable(bytes: Uint8Array): AuthenticatedVariable {
  const reader = new ByteReader(bytes);
  const timestamp = parseEfiTime(reader.bytes(efiTimeSize, 'timestamp'));
  const { offset } = reader;
  const length = reader.u32('certificate length');
  const revision = reader.u16('certificate revision');
  const type = reader.u16('certificate type');
  const guid = parseGuid(reader.bytes(16, 'certificate GUID'));
  if (revision !== winCertRevision || type !== winCertUefiGuid || guid !== pkcs7CertificateGuid) {
    throw new FormatError('unsupported', `signed variable: certificate type 0x${type.toString(16)} ${guid}`, {
      offset,
    });
  }
  if (length <= winCertGuidHeader) {
    throw new FormatError('malformed', `signed variable: certificate of ${length} bytes`, { offset });
  }
  const signature = reader.bytes(length - winCertGuidHeader, 'signature');
  return { timestamp, signature, content: reader.rest() };
}

/** What is signed: the name without its NUL, vendor, attributes, time and content, one after the other. */
export function variableSignedBytes(update: VariableUpdate): Uint8Array<ArrayBuffer> {
  return new ByteWriter({ capacity: update.content.length + 256 })
    .bytes(Buffer.from(update.name, 'utf16le'))
    .bytes(encodeGuid(update.vendor))
    .u32(update.attributes)
    .bytes(encodeEfiTime(update.timestamp))
    .bytes(update.content)
    .finish();
}

/** First what to sign, then the `.auth` file. */
export function planAuthenticatedVariable(
  update: VariableUpdate,
  signer: Certificate,
): Omit<SignedDataPlan, 'finish'> & { finish(signature: Uint8Array): Uint8Array<ArrayBuffer> } {
  const plan = planVariableSignature(signer, variableSignedBytes(update));
  return { ...plan, finish: (signature) => encodeAuthenticated(update, plan.finish(signature)) };
}

/** @throws FormatError when the signature is no SignedData message. */
export function verifyAuthenticatedVariable(
  variable: AuthenticatedVariable,
  target: Pick<VariableUpdate, 'name' | 'vendor' | 'attributes'>,
  options: TrustOptions,
): readonly SignerResult[] {
  const content = variableSignedBytes({
    ...target,
    timestamp: variable.timestamp,
    content: variable.content,
  });
  const message = parseSignedData(variable.signature, { contentInfo: 'optional' });
  if (message.content !== undefined) {
    throw new FormatError('malformed', 'signed variable: its signature must be detached');
  }
  return verifySignedData(message, { ...options, content });
}

function encodeAuthenticated(update: VariableUpdate, signedData: Uint8Array): Uint8Array<ArrayBuffer> {
  return new ByteWriter({ capacity: update.content.length + signedData.length + 64 })
    .bytes(encodeEfiTime(update.timestamp))
    .u32(winCertGuidHeader + signedData.length)
    .u16(winCertRevision)
    .u16(winCertUefiGuid)
    .bytes(encodeGuid(pkcs7CertificateGuid))
    .bytes(signedData)
    .bytes(update.content)
    .finish();
}
