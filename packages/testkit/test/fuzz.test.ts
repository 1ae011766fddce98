import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fuzzInProcess, fuzzInput, scratch } from '@osguard/testkit';

const sample = join(import.meta.dirname, 'fuzz-samples/broken.fuzz.ts');

test('an input is made again from the seed and its number', () => {
  const seeds = [Buffer.from('first'), Buffer.from('second')];
  assert.deepEqual(fuzzInput(seeds, { seed: 5, index: 1 }), new Uint8Array(Buffer.from('second')));
  const at = (seed: number, index: number): string =>
    Buffer.from(fuzzInput(seeds, { seed, index })).toString('hex');
  assert.equal(at(5, 99), at(5, 99));
  const different = new Set(Array.from({ length: 50 }, (_, i) => at(5, i + 2)));
  assert.ok(different.size > 30, `${different.size} different inputs`);
  assert.notEqual(at(5, 99), at(6, 99));
});

async function fuzz(way: string, hang = 20_000): Promise<readonly [boolean, string, string | undefined]> {
  using dir = scratch('fuzz');
  process.env['FUZZ_SAMPLE'] = way;
  const outcome = await fuzzInProcess(sample, {
    milliseconds: 200,
    seed: 1,
    hang,
    memory: 300,
    failures: dir.path,
  });
  if (outcome.passed) return [true, '', undefined];
  const input = outcome.input === undefined ? undefined : readFileSync(outcome.input, 'hex');
  return [false, outcome.message, input];
}

const second = Buffer.from(fuzzInput([Buffer.from('a good input')], { seed: 1, index: 1 })).toString('hex');

test('a parser that throws its typed error passes', async () => {
  assert.deepEqual(await fuzz('passes'), [true, '', undefined]);
});

for (const [way, message] of [
  ['throws', /threw RangeError: offset out of range/],
  ['hangs', /no result after 1000 ms/],
  ['fills the heap', /heap|MiB of memory/],
  ['fills memory', /MiB of memory, 300 are allowed/],
  ['exits', /ended with 7/],
] as const) {
  test(`a parser that ${way} fails with its input`, async () => {
    const [passed, told, input] = await fuzz(way, way === 'hangs' ? 1000 : undefined);
    assert.equal(passed, false);
    assert.match(told, message);
    assert.equal(input, second);
  });
}
