import assert from 'node:assert/strict';
import { duplexPair } from 'node:stream';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';

import fc from 'fast-check';

import { MachineError } from '../src/error.ts';
import { LineStream, plainText } from '../src/vm/line-stream.ts';

function guestAndStream(): { guest: ReturnType<typeof duplexPair>[0]; stream: LineStream } {
  const [guest, host] = duplexPair();
  let now = 0;
  return { guest, stream: new LineStream(host, () => now++) };
}

const isMachineError =
  (code: string, text: RegExp) =>
  (error: unknown): boolean =>
    error instanceof MachineError && error.code === code && text.test(error.message);

describe('LineStream', () => {
  it('cuts lines, takes escape sequences out and joins what came in pieces', async () => {
    const { guest, stream } = guestAndStream();
    guest.write('\u001b[2J\u001b[01;01H\u001b[=3hfirst\r\n\u001b[0;1;31msec');
    guest.write('ond\u001b[0m \u00e4');
    guest.write('\n\n');
    await turn();
    guest.end();
    stream.end('stopped');
    assert.deepEqual(
      stream.lines.map((line) => line.text),
      ['first', 'second ä', ''],
    );
  });

  it('finds a line that came before, one that comes later, and one after another', async () => {
    const { guest, stream } = guestAndStream();
    guest.write('boot 1\nready\n');
    await turn();
    const first = await stream.waitFor(/boot (\d)/);
    assert.equal(first.groups[1], '1');
    const second = stream.waitFor(/boot (\d)/, { after: first });
    guest.write('boot 2\n');
    assert.equal((await second).groups[1], '2');
    assert.ok((await second).number > first.number);
  });

  it('sees a prompt that ends without line feed, but not half a line', async () => {
    const { guest, stream } = guestAndStream();
    const value = stream.waitFor(/value=(\w+)/);
    guest.write('value=ab');
    await turn();
    guest.write('cd\nlogin: ');
    assert.equal((await value).groups[1], 'abcd');
    assert.equal((await stream.waitFor('login: ')).text, 'login: ');
    assert.equal(stream.partial, 'login: ');
  });

  it('fails in time, with the last line said', async () => {
    const { guest, stream } = guestAndStream();
    guest.write('stuck here\n');
    await assert.rejects(stream.waitFor('never', { timeoutMs: 20 }), isMachineError('timeout', /stuck here/));
  });

  it('fails at once when a line says that waiting is in vain, or the machine stops', async () => {
    const { guest, stream } = guestAndStream();
    const waiting = stream.waitFor('login', { unless: /Kernel panic/ });
    const other = stream.waitFor('other');
    guest.write('[ 1.0] Kernel panic - not syncing\n');
    await assert.rejects(waiting, isMachineError('machine-stopped', /Kernel panic/));
    stream.end('the machine stopped (guest-shutdown)');
    await assert.rejects(other, isMachineError('machine-stopped', /guest-shutdown/));
    await assert.rejects(stream.waitFor('later'), isMachineError('machine-stopped', /guest-shutdown/));
  });

  it('gives all lines to every iterator and ends with the machine', async () => {
    const { guest, stream } = guestAndStream();
    guest.write('one\n');
    await turn();
    const collect = async (): Promise<string[]> => {
      const texts: string[] = [];
      for await (const line of stream) texts.push(line.text);
      return texts;
    };
    const both = Promise.all([collect(), collect()]);
    guest.write('tw');
    await turn();
    guest.write('o\nthree');
    await turn();
    stream.end('stopped');
    assert.deepEqual(await both, [
      ['one', 'two', 'three'],
      ['one', 'two', 'three'],
    ]);
  });

  it('sends input to the guest', async () => {
    const { guest, stream } = guestAndStream();
    stream.write('root\n');
    const [sent] = await guest.take(1).toArray();
    assert.equal(String(sent), 'root\n');
  });

  it('bounds a line that never ends', async () => {
    const { guest, stream } = guestAndStream();
    for (let index = 0; index < 40; index++) guest.write('x'.repeat(64 * 1024));
    await turn();
    await turn();
    stream.end('stopped');
    assert.ok(stream.lines.length >= 2);
    assert.ok(stream.lines.every((line) => line.text.length <= 1024 * 1024));
    assert.equal(
      stream.lines.reduce((sum, line) => sum + line.text.length, 0),
      40 * 64 * 1024,
    );
  });

  it('does not depend on how the bytes were cut', async () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'é', '\n', '\r', '\u001b', '[', '0', 'm', ' ') });
    await fc.assert(
      fc.asyncProperty(text, fc.array(fc.nat(20)), async (whole, cuts) => {
        const { guest, stream } = guestAndStream();
        const bytes = Buffer.from(whole);
        let at = 0;
        for (const cut of cuts) {
          guest.write(bytes.subarray(at, at + cut));
          at += Math.min(cut, bytes.length - at);
        }
        guest.write(bytes.subarray(at));
        await turn();
        stream.end('stopped');
        const expected = whole.split('\n').map(plainText);
        if (whole === '' || whole.endsWith('\n')) expected.pop();
        assert.deepEqual(
          stream.lines.map((line) => line.text),
          expected,
        );
      }),
      { numRuns: 200 },
    );
  });
});
