/** One proof: nonce, quote, logs, verdict, on one fresh channel. */

import { createHash } from 'node:crypto';
import { evidenceQualifyingData, evidenceSchemaName } from '@osguard/attest/protocol';
import { NodeError } from '../error.ts';
import type { ChannelIdentity } from './identity.ts';
import type { Machine, MachineLogs, MachineQuote, NodeKeys, QuoteRequest } from './machine.ts';
import type { Verdict, Verifier } from './verifier.ts';

export interface ProveOptions {
  readonly machine: Machine;
  readonly verifier: Verifier;
  readonly identity: ChannelIdentity;
  readonly keys: NodeKeys;
  /** Of the agent. */
  readonly version: string;
}

/** Quotes until nothing was measured meanwhile. */
const mostQuotes = 5;

/** Lower-case hex SHA-256 of the endorsement key's TPMT_PUBLIC. */
export function nodeOf({ ek }: NodeKeys): string {
  return createHash('sha256').update(ek).digest('hex');
}

/** @throws NodeError `verifier`, `evidence`; whatever the TPM throws */
export async function prove({ machine, verifier, identity, keys, version }: ProveOptions): Promise<Verdict> {
  const node = nodeOf(keys);
  const { nonce, pcrs } = await verifier.nonce(node);
  const qualifyingData = evidenceQualifyingData({
    nonce: Buffer.from(nonce, 'base64'),
    tlsKey: identity.publicKey,
  });
  const { quote, logs } = await quoteWithLogs(machine, { pcrs, qualifyingData });
  return verifier.prove({
    schema: evidenceSchemaName,
    node,
    nonce,
    quote: base64(quote.attest),
    signature: base64(quote.signature),
    pcrs: {
      sha256: Object.fromEntries(
        Array.from(quote.values, ([pcr, value]) => [String(pcr), Buffer.from(value).toString('hex')]),
      ),
    },
    firmwareLog: base64(logs.firmware),
    userspaceLog: logs.userspace,
    ...(logs.commandLine !== undefined && { commandLine: logs.commandLine }),
    tlsKey: base64(identity.publicKey),
    agent: { version },
  });
}

/** Binds the attestation key to this TPM in the eyes of the verifier. */
export async function enrol({
  machine,
  verifier,
  keys,
}: Omit<ProveOptions, 'identity' | 'version'>): Promise<void> {
  const { enrolment, credential, secret } = await verifier.enrol({
    ek: base64(keys.ek),
    ekCertificates: keys.ekCertificates.map(base64),
    ak: base64(keys.ak),
    name: machine.name,
  });
  const opened = await machine.activate(Buffer.from(credential, 'base64'), Buffer.from(secret, 'base64'));
  const { node } = await verifier.activate(enrolment, opened);
  if (node !== nodeOf(keys))
    throw new NodeError(
      'verifier',
      `the verifier enrolled another node (${node}) than this one (${nodeOf(keys)})`,
    );
}

/** A log that grew while the TPM quoted would not replay to what it quoted. */
async function quoteWithLogs(
  machine: Machine,
  request: QuoteRequest,
): Promise<{ readonly quote: MachineQuote; readonly logs: MachineLogs }> {
  for (let count = 0; count < mostQuotes; count += 1) {
    const before = await machine.logs();
    const quote = await machine.quote(request);
    const logs = await machine.logs();
    if (before.userspace === logs.userspace && Buffer.compare(before.firmware, logs.firmware) === 0)
      return { quote, logs };
  }
  throw new NodeError('evidence', 'the machine did not stop measuring: no quote fits the logs');
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
