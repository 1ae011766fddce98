import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { FormatError, fromHex, toHex } from '@osguard/formats/bytes';
import type { EncodableRecord } from '@osguard/formats/userspace-log';
import {
  checkRecordDigest,
  encodeUserspaceLog,
  parseUserspaceLog,
  replayUserspace,
} from '@osguard/formats/userspace-log';

const sha256 = (text: string): Uint8Array => createHash('sha256').update(text).digest();

function phase(text: string): EncodableRecord {
  return { pcr: 11, digests: { sha256: sha256(text) }, eventType: 'phase', text, bootId: '4b4a'.repeat(8) };
}

/** As systemd 257 wrote it. */
const written =
  '\x1e{"pcr":11,"digests":[{"hashAlg":"sha1","digest":"b1b01d5f73f321eb70e76f8a0e241ac0a3fa4a6e"},' +
  '{"hashAlg":"sha256","digest":"51e6b92f405d1f98d96e3de343d61d420ad6923b25de21d766f9298192f14fed"}],' +
  '"content_type":"systemd","content":{"string":"enter-initrd","bootId":"4b4ac53db4814e77939dc05ab8c34487",' +
  '"timestamp":16728833,"eventType":"phase"}}\n';

test('a record of systemd-pcrextend is read', () => {
  const [record, ...others] = parseUserspaceLog(Buffer.from(written));
  assert.ok(record !== undefined);
  assert.equal(others.length, 0);
  assert.equal(record.pcr, 11);
  assert.equal(record.eventType, 'phase');
  assert.equal(record.text, 'enter-initrd');
  assert.equal(record.bootId, '4b4ac53db4814e77939dc05ab8c34487');
  assert.equal(checkRecordDigest(record, 'sha1'), 'matches');
  assert.equal(checkRecordDigest(record, 'sha256'), 'matches');
  assert.equal(checkRecordDigest({ ...record, text: 'leave-initrd' }, 'sha256'), 'differs');
  assert.equal(checkRecordDigest({ ...record, eventType: 'volume-key' }, 'sha256'), 'unrelated');
});

function extend(value: string, text: string): string {
  return createHash('sha256').update(fromHex(value)).update(sha256(text)).digest('hex');
}

test('records extend what firmware left, other PCRs start at zeros', () => {
  const records = parseUserspaceLog(
    encodeUserspaceLog([phase('enter-initrd'), phase('leave-initrd'), { ...phase('x'), pcr: 15 }]),
  );
  const start = 'ab'.repeat(32);
  const values = replayUserspace(records, 'sha256', { start: new Map([[11, start]]) });
  assert.equal(values.get(11), extend(extend(start, 'enter-initrd'), 'leave-initrd'));
  assert.equal(values.get(15), extend('00'.repeat(32), 'x'));
  assert.equal(values.size, 2);
  assert.throws(() => replayUserspace(records, 'sha384'), /record 0: no sha384 digest/);
});

test('what is written is read back', () => {
  const records = [phase('sysinit'), { ...phase('grüße\n\x1e'), pcr: 15 }];
  const again = parseUserspaceLog(encodeUserspaceLog(records));
  assert.deepEqual(
    again.map(({ index: _index, offset: _offset, digests, ...rest }) => ({
      ...rest,
      digests: { sha256: toHex(digests.sha256 ?? new Uint8Array()) },
    })),
    records.map(({ digests, ...rest }) => ({
      ...rest,
      digests: { sha256: toHex(digests.sha256 ?? new Uint8Array()) },
    })),
  );
  assert.deepEqual(parseUserspaceLog(new Uint8Array()), []);
});

function refuse(text: string, why: RegExp): void {
  assert.throws(
    () => parseUserspaceLog(Buffer.from(text)),
    (error: unknown) => error instanceof FormatError && why.test(error.message),
    why.source,
  );
}

test('what is no such log is refused where it stops being one', () => {
  refuse(written.slice(1), /does not start with RS.*at byte 0/);
  refuse(written + written.slice(0, -1), /record 1: does not end with LF.*at byte \d{3}/);
  refuse(written.replace('"pcr":11', '"pcr":24'), /pcr/);
  refuse(written.replace('"pcr":11', '"pcr":"11"'), /pcr/);
  refuse(written.replace('b1b01d', ''), /a sha1 digest of 17 bytes/);
  refuse(written.replace('sha1', 'sha256'), /a sha256 digest of 20 bytes/);
  refuse('\x1e{}\n', /pcr/);
  refuse('\x1enull\n', /record 0/);
  refuse('\x1e{"pcr":1\n', /no JSON/);
  refuse(`\x1e${'['.repeat(60_000)}\n`, /no JSON/);
  refuse(`\x1e${' '.repeat(70_000)}\n`, /70002 bytes, more than 65536/);
  refuse(written.repeat(3500), /more than 1048576/);
});
