/**
 * Writes recorded.json: good evidence with a quote by a real TPM (swtpm) over the logs of a real boot, the fixture
 * test/fixtures/booted-host. The TPM is fed the events of the logs, so that its PCRs are those of that boot.
 * `node packages/attest/negative/record.ts`; needs swtpm.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { toHex } from '@osguard/formats/bytes';
import { eventTypes, parseEventLog } from '@osguard/formats/eventlog';
import { parseReferenceValues } from '@osguard/formats/reference-values';
import { encodePublicArea, publicAreaName } from '@osguard/formats/tpm2';
import { parseUserspaceLog } from '@osguard/formats/userspace-log';
import { attestationKey, endorsementKey, extendPcr, openSocket, quote, startup, Tpm } from '@osguard/tpm';
import { encodeEvidence } from '../src/evidence/parse.ts';
import { evidenceQualifyingData } from '../src/protocol/index.ts';
import { openReferenceRelease } from '../src/release/open.ts';
import { caseSchemaName, writeContext } from './case-file.ts';
import { goodPolicy, now, quotedPcrs } from './model/baseline.ts';
import { signRelease } from './model/boot.ts';
import { spki } from './model/keys.ts';
import { sha256 } from './model/log.ts';

const fixtures = join(import.meta.dirname, '../test/fixtures/booted-host');
const firmwareLog = readFileSync(join(fixtures, 'firmware.log'));
const userspaceLog = readFileSync(join(fixtures, 'userspace.log'));
const referenceValues = readFileSync(join(fixtures, 'reference-values.json'));

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'osguard-record-'));
  const socket = join(folder, 'tpm');
  mkdirSync(join(folder, 'state'));
  const swtpm = spawn(
    'swtpm',
    ['socket', '--tpm2', '--flags', 'not-need-init']
      .concat(['--tpmstate', `dir=${join(folder, 'state')}`])
      .concat(['--server', `type=unixio,path=${socket}`, '--ctrl', `type=unixio,path=${socket}.ctrl`]),
    { stdio: 'ignore' },
  );
  const ended = once(swtpm, 'exit');
  try {
    for (let tries = 0; !existsSync(socket) && tries < 1000; tries += 1) await sleep(5);
    const tpm = new Tpm(await openSocket({ path: socket }));
    await startup(tpm);
    await record(tpm);
    await tpm.close();
  } finally {
    swtpm.kill();
    await ended;
    rmSync(folder, { recursive: true });
  }
}

async function record(tpm: Tpm): Promise<void> {
  for (const { pcr, type, digests } of parseEventLog(firmwareLog).events) {
    if (type === eventTypes.EV_NO_ACTION || digests.sha256 === undefined) continue;
    await extendPcr(tpm, pcr, { sha256: digests.sha256 });
  }
  for (const { pcr, digests } of parseUserspaceLog(userspaceLog)) {
    if (digests.sha256 !== undefined) await extendPcr(tpm, pcr, { sha256: digests.sha256 });
  }
  const ek = await endorsementKey(tpm);
  const ak = await attestationKey(tpm);
  const nonce = sha256('a nonce for a real TPM');
  const tlsKey = spki('tls');
  const quoted = await quote(tpm, {
    key: ak,
    pcrs: [{ bank: 'sha256', pcrs: quotedPcrs }],
    qualifyingData: evidenceQualifyingData({ nonce, tlsKey }),
  });
  const ekArea = encodePublicArea(ek.area);
  const node = toHex(sha256(ekArea));
  const { name, version, pcrs } = parseReferenceValues(referenceValues);
  const evidence = encodeEvidence({
    node,
    nonce,
    quote: quoted.message,
    signature: quoted.signatureBytes,
    pcrs: new Map([...(quoted.values.sha256 ?? [])].map(([pcr, value]) => [pcr, toHex(value)])),
    firmwareLog,
    userspaceLog: userspaceLog.toString('utf8'),
    tlsKey,
    commandLine: pcrs.find(({ pcr }) => pcr === 9)?.events[0]?.text,
    agent: { version: '0.1.0' },
  });
  const good = goodPolicy();
  const policy = { ...good, firmware: { ...good.firmware, dbx: [] } };
  const release = {
    ...signRelease(version, referenceValues, name),
    state: 'promoted' as const,
    from: undefined,
    until: undefined,
  };
  const context = writeContext({
    context: {
      now,
      node: {
        node,
        ek: ekArea,
        ak: encodePublicArea(ak.area),
        akName: toHex(publicAreaName(ak.area)),
        state: 'enrolled',
      },
      nonce: { nonce, node, purpose: 'evidence', issued: now - 1000, expires: now + 60_000 },
      channelKey: tlsKey,
      policy,
      releases: [openReferenceRelease(release, { trust: policy.trust.release, state: 'promoted' })],
    },
    releases: [release],
  });
  const file = {
    schema: caseSchemaName,
    name: 'recorded',
    lie: 'nothing',
    check: null,
    document: JSON.parse(Buffer.from(evidence).toString('utf8')),
    context,
  };
  writeFileSync(join(import.meta.dirname, 'recorded.json'), `${JSON.stringify(file, undefined, 1)}\n`);
}

await main();
