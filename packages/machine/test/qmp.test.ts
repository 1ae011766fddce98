import assert from 'node:assert/strict';
import { duplexPair } from 'node:stream';
import { describe, it } from 'node:test';

import { Qmp } from '../src/vm/qmp.ts';

/** A QEMU that greets, answers `query-x` and refuses the rest. */
function fakeQemu(): Qmp {
  const [qemu, host] = duplexPair();
  const qmp = new Qmp(host);
  qemu.write('{"QMP": {"version": {}, "capabilities": []}}\r\n');
  qemu.on('data', (bytes: Buffer) => {
    for (const line of bytes.toString().trim().split('\n')) {
      const { execute, id } = JSON.parse(line) as { execute: string; id: number };
      if (execute === 'qmp_capabilities') qemu.write(`{"return": {}, "id": ${id}}\n`);
      else if (execute === 'query-x')
        qemu.write(`not json\n{"event": "RESET", "data": {"guest": true}}\n{"return": 7, "id": ${id}}\n`);
      else if (execute !== 'silence')
        qemu.write(`{"error": {"class": "CommandNotFound", "desc": "no ${execute}"}, "id": ${id}}\n`);
    }
  });
  return qmp;
}

describe('Qmp', () => {
  it('negotiates, answers and tells events', async () => {
    const qmp = fakeQemu();
    await qmp.ready;
    const events: string[] = [];
    qmp.onEvent((event) => events.push(`${event.name} ${String(event.data['guest'])}`));
    assert.equal(await qmp.execute('query-x'), 7);
    assert.deepEqual(events, ['RESET true']);
  });

  it("passes QEMU's refusal on", async () => {
    await assert.rejects(fakeQemu().execute('nonsense'), { code: 'control-failed', message: /no nonsense/ });
  });

  it('fails what is unanswered when the machine stops, and everything after', async () => {
    const qmp = fakeQemu();
    await qmp.ready;
    const unanswered = qmp.execute('silence');
    qmp.end('the machine stopped (killed)');
    await assert.rejects(unanswered, { code: 'machine-stopped', message: /killed/ });
    await assert.rejects(qmp.execute('query-x'), { code: 'machine-stopped' });
  });
});
