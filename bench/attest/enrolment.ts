/** An enrolment from beginning to end: keys of a TPM in software, credential, activation, each answer durable. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodePublicArea } from '@osguard/formats/tpm2';
import {
  activate,
  attestationKey,
  endorsementKey,
  flushContext,
  openSocket,
  releaseKey,
  startup,
  Tpm,
} from '@osguard/tpm';
import { createHash } from 'node:crypto';
import type { Figure, Measurement } from '../figure.ts';
import { defineFigure } from '../figure.ts';
import type { Bench } from '../measure.ts';
import { diskFolder, startVerifierProcess } from './_fleet.ts';
import { openLine } from './_load.ts';
import type { Line } from './_load.ts';
import { readPlan } from './_plan.ts';

async function enrolOften(bench: Bench): Promise<Measurement> {
  using folder = diskFolder();
  const run = mkdtempSync(join(tmpdir(), 'osguard-swtpm-'));
  const state = join(run, 'state');
  mkdirSync(state);
  const server = join(run, 'server');
  const words = ['socket', '--tpm2', '--tpmstate', `dir=${state}`, '--flags', 'not-need-init'];
  const sockets = ['--server', `type=unixio,path=${server}`, '--ctrl', `type=unixio,path=${server}.ctrl`];
  const child = spawn(bench.tool('swtpm'), [...words, ...sockets], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  try {
    await using verifier = await startVerifierProcess(bench, { folder: folder.path, nodes: 0 });
    await using tpm = await openTpm(server);
    const plan = readPlan(folder.path);
    const { port, ca, token } = verifier;
    const line = await openLine({ port, ca, plan, header: `authorization: Bearer ${token}\r\n` });
    const times: number[] = [];
    for (let round = 0; round < (bench.singly ? 2 : 21); round += 1) {
      const { milliseconds, status, node } = await enrol(tpm, line);
      if (status === 200) times.push(milliseconds);
      // The TPM has no certificate: the first try asks, an operator says yes.
      else if (round > 0) throw new Error(`enrolment: status ${status}`);
      else await line.send('POST', `/v1/nodes/${node}/approval`, '');
    }
    line.close();
    const sorted = times.toSorted((a, b) => a - b);
    return {
      value: sorted[Math.floor(sorted.length / 2)] ?? Number.NaN,
      notes: {
        rounds: sorted.length,
        worst: `${sorted.at(-1)?.toFixed(0)} ms`,
        keys: 'EK RSA-2048, AK ECC P-256',
      },
    };
  } finally {
    child.kill();
    await ended;
    rmSync(run, { recursive: true, force: true });
  }
}

/** From deriving both keys to the answer that the node is enrolled. */
async function enrol(
  tpm: Tpm,
  line: Line,
): Promise<{ readonly milliseconds: number; readonly status: number; readonly node: string }> {
  const started = performance.now();
  const ek = await endorsementKey(tpm);
  const ak = await attestationKey(tpm);
  try {
    const area = encodePublicArea(ek.area);
    const node = createHash('sha256').update(area).digest('hex');
    const request = {
      ek: text(area),
      ekCertificates: [],
      ak: text(encodePublicArea(ak.area)),
      name: 'bench',
    };
    const begun = await line.send('POST', '/v1/enrolments', JSON.stringify(request));
    if (begun.status !== 201) return { milliseconds: 0, status: begun.status, node };
    const { enrolment, credential, secret }: Record<string, string> = JSON.parse(begun.body);
    const sealed = {
      credential: Buffer.from(credential ?? '', 'base64'),
      secret: Buffer.from(secret ?? '', 'base64'),
    };
    const opened = await activate(tpm, sealed, { ek, object: { ...ak, auth: {} } });
    const body = JSON.stringify({ secret: text(opened) });
    const done = await line.send('POST', `/v1/enrolments/${enrolment}/activation`, body);
    return { milliseconds: performance.now() - started, status: done.status, node };
  } finally {
    await flushContext(tpm, ak.handle);
    await releaseKey(tpm, ek);
  }
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

async function openTpm(path: string): Promise<Tpm> {
  for (let tries = 0; ; tries += 1) {
    try {
      const tpm = new Tpm(await openSocket({ path }));
      await startup(tpm);
      return tpm;
    } catch (error) {
      if (tries > 1000) throw error;
      await sleep(5);
    }
  }
}

export const figures: readonly Figure[] = [
  defineFigure({
    id: 'attest-enrol',
    title: 'an enrolment with a TPM in software (swtpm), from its keys to being enrolled',
    unit: 'ms',
    measure: enrolOften,
  }),
];
