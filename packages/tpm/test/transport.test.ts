/** Without any TPM: what happens when the other end is gone, busy, wrong or hostile. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  encodePublicArea,
  encodeSizedPublicArea,
  sized,
  srkTemplateP256,
  tpmWriter,
} from '@osguard/formats/tpm2';
import { scratch } from '@osguard/testkit';
import type { TpmTransport } from '@osguard/tpm';
import {
  endorsementKey,
  getRandom,
  nvRead,
  openDevice,
  openSocket,
  quotePcrs,
  readPcrs,
  readPublic,
  startSession,
  Tpm,
  TpmError,
  unseal,
} from '@osguard/tpm';

function response(code: number, parameters: Uint8Array = new Uint8Array()): Uint8Array {
  return tpmWriter()
    .u16(0x8001)
    .u32(10 + parameters.length)
    .u32(code)
    .bytes(parameters)
    .finish();
}

/** A TPM that gives these answers, the last one for ever. */
function scripted(...answers: readonly Uint8Array[]): {
  readonly transport: TpmTransport;
  readonly asked: () => number;
} {
  let asked = 0;
  return {
    transport: {
      async send() {
        asked += 1;
        return answers[Math.min(asked, answers.length) - 1] ?? new Uint8Array();
      },
      async close() {
        asked = 0;
      },
    },
    asked: () => asked,
  };
}

const noWait = { wait: async (): Promise<void> => undefined };

describe('a TPM', { timeout: 120_000 }, () => {
  it('that is busy is asked again, and not for ever', async () => {
    const random = tpmWriter()
      .bytes(sized(Uint8Array.of(1, 2)))
      .finish();
    const patient = scripted(response(0x922), response(0x908), response(0, random));
    assert.deepEqual(await getRandom(new Tpm(patient.transport, noWait), 2), Uint8Array.of(1, 2));
    assert.equal(patient.asked(), 3);
    const stuck = scripted(response(0x922));
    await assert.rejects(getRandom(new Tpm(stuck.transport, noWait), 2), { code: 'refused' });
    assert.equal(stuck.asked(), 8);
  });

  it('that gives more or less randomness than it was asked for is refused', async () => {
    for (const bytes of [new Uint8Array(), new Uint8Array(3)]) {
      const { transport } = scripted(response(0, sized(bytes)));
      await assert.rejects(getRandom(new Tpm(transport), 2), { code: 'protocol' });
    }
  });

  it('that lies about a Name is refused', async () => {
    const area = encodeSizedPublicArea({ ...srkTemplateP256, x: new Uint8Array(32) });
    const name = sized(new Uint8Array(34));
    const { transport } = scripted(response(0, Buffer.concat([area, name, name])));
    await assert.rejects(readPublic(new Tpm(transport), 0x8100_0000), /not that of its public area/);
    assert.ok(encodePublicArea(srkTemplateP256).length > 0);
  });

  it('that gives an answer of another shape, or none, is refused', async () => {
    const { transport } = scripted(response(0, new Uint8Array(5)));
    await assert.rejects(readPcrs(new Tpm(transport), [{ bank: 'sha256', pcrs: [0] }]), { code: 'protocol' });
    const nothing = scripted(new Uint8Array());
    await assert.rejects(getRandom(new Tpm(nothing.transport), 1), { code: 'protocol' });
  });

  it('that answers with anything at all causes a TpmError and nothing else', async () => {
    const key = { handle: 0x8000_0000, name: new Uint8Array(34) };
    const asks: readonly ((tpm: Tpm) => Promise<unknown>)[] = [
      async (tpm) => endorsementKey(tpm),
      async (tpm) => nvRead(tpm, 0x01c0_0002),
      async (tpm) => readPublic(tpm, key.handle),
      async (tpm) => unseal(tpm, key),
      async (tpm) => startSession(tpm, { kind: 'hmac' }),
      async (tpm) => readPcrs(tpm, [{ bank: 'sha256', pcrs: [0, 1] }]),
      async (tpm) =>
        quotePcrs(tpm, key, { selections: [{ bank: 'sha256', pcrs: [0] }], qualifyingData: key.name }),
    ];
    const answer = fc
      .array(fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.constant(new Uint8Array(8))), { maxLength: 6 })
      .map((parts) => response(0, Buffer.concat(parts)));
    await fc.assert(
      fc.asyncProperty(
        fc.array(answer, { minLength: 1, maxLength: 4 }),
        fc.constantFrom(...asks),
        async (answers, ask) => {
          const { transport, asked } = scripted(...answers);
          await ask(new Tpm(transport, noWait)).catch((error: unknown) => {
            assert.ok(error instanceof TpmError, String(error));
          });
          assert.ok(asked() < 3000);
        },
      ),
      { numRuns: 300 },
    );
  });
});

async function against(answer: (socket: Socket) => void, timeout?: number): Promise<unknown> {
  using folder = scratch('socket');
  const path = folder.file('tpm');
  const server = createServer((socket) =>
    socket.on('error', () => undefined).once('data', () => answer(socket)),
  );
  server.listen(path);
  await once(server, 'listening');
  const transport = await openSocket({ path }, timeout === undefined ? {} : { timeout });
  try {
    return await transport.send(Uint8Array.of(1));
  } finally {
    await transport.close();
    server.close();
  }
}

describe('the socket', { timeout: 120_000 }, () => {
  it('gives whole responses, however they arrive', async () => {
    const whole = response(0, new Uint8Array(20));
    const got = await against((socket) => {
      socket.write(whole.subarray(0, 7));
      setTimeout(() => socket.write(whole.subarray(7)), 10);
    });
    assert.deepEqual(got, Uint8Array.from(whole));
  });

  it('gives up on a TPM that hangs up, hangs, or talks nonsense', async () => {
    await assert.rejects(
      against((socket) => socket.destroy()),
      { code: 'transport' },
    );
    await assert.rejects(
      against(() => undefined, 30),
      /within 30 ms/,
    );
    await assert.rejects(
      against((socket) => socket.write(new Uint8Array(10).fill(0xff))),
      { code: 'transport' },
    );
    await assert.rejects(
      against((socket) => socket.write(Buffer.concat([response(0), response(0)]))),
      { code: 'transport' },
    );
  });

  it('says when there is no TPM', async () => {
    await assert.rejects(openSocket({ path: '/nonexistent/tpm' }), { code: 'no-tpm', exitCode: 3 });
    await assert.rejects(openDevice('/nonexistent/tpm'), { code: 'no-tpm', exitCode: 3 });
  });
});
