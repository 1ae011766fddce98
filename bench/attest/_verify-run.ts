/**
 * Verifies evidence on worker threads for some seconds and prints how often: `node _verify-run.ts THREADS SECONDS`.
 * Every verification is whole: JSON, key import, quote signature, log replay, policy, and a signed token.
 */

import { generateKeyPairSync } from 'node:crypto';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { createTokenSigner, issueToken, verifyEvidence } from '@osguard/attest';
import { makeFleet } from './_evidence.ts';

/** Different machines, as a fleet comes again every few minutes: their keys are remembered, the rest is done anew. */
const machineCount = 256;

interface Job {
  readonly seconds: number;
}

interface Report {
  readonly verified: number;
  readonly seconds: number;
  /** Of processor time, one verification. */
  readonly microseconds: number;
  /** Of the whole process. Bytes. */
  readonly resident: number;
  readonly size: number;
  readonly events: number;
}

function work({ seconds }: Job): Report {
  const { machines, policy, releases, now, size, events } = makeFleet(machineCount);
  const signer = createTokenSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
  const one = (index: number): void => {
    const machine = machines[index % machines.length];
    if (machine === undefined) throw new Error('no machine');
    const { document, node, nonce, channelKey } = machine;
    const verdict = verifyEvidence(document, { node, nonce, channelKey, policy, releases, now });
    if (verdict.verdict !== 'trusted')
      throw new Error(`refused: ${JSON.stringify(verdict.checks.find(({ ok }) => !ok))}`);
    issueToken(verdict, {
      signer,
      issuer: 'https://verifier.example',
      node: node.node,
      nonce: nonce.nonce,
      tlsKey: channelKey,
      id: String(index),
      now,
      lifetime: policy.token.lifetime,
      policyName: policy.name,
      endorsement: 'certificate',
      build: '0.1.0',
    });
  };
  for (let index = 0; index < 2000; index += 1) one(index);
  const cpu = process.threadCpuUsage();
  const started = performance.now();
  let verified = 0;
  for (; performance.now() - started < seconds * 1000; verified += 1) one(verified);
  const { user, system } = process.threadCpuUsage(cpu);
  return {
    verified,
    seconds: (performance.now() - started) / 1000,
    microseconds: (user + system) / verified,
    resident: process.memoryUsage.rss(),
    size,
    events,
  };
}

/** MiB a thread may have: garbage is young, so a large nursery buys little. */
const resourceLimits = { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 32 } as const;

if (isMainThread) {
  const [threads = 2, seconds = 8] = process.argv.slice(2).map(Number);
  const job: Job = { seconds };
  const reports = await Promise.all(
    Array.from(
      { length: threads },
      () =>
        new Promise<Report>((resolve, reject) => {
          const worker = new Worker(import.meta.filename, { workerData: job, resourceLimits });
          worker.once('message', resolve);
          worker.once('error', reject);
        }),
    ),
  );
  const perSecond = reports.reduce((sum, report) => sum + report.verified / report.seconds, 0);
  const [first] = reports;
  process.stdout.write(
    `${JSON.stringify({
      perSecond: Math.round(perSecond),
      threads,
      cpuMicroseconds: Math.round(Math.max(...reports.map(({ microseconds }) => microseconds))),
      residentMiB: Math.round(Math.max(...reports.map(({ resident }) => resident)) / 2 ** 20),
      documentBytes: first?.size,
      events: first?.events,
    })}\n`,
  );
} else {
  parentPort?.postMessage(work(workerData));
}
