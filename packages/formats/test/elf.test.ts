/** ELF files of this machine, judged by readelf. */

import assert from 'node:assert/strict';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { suite, test } from 'node:test';
import { FormatError, sourceOf } from '@osguard/formats/bytes';
import { elfMachines, parseElf } from '@osguard/formats/elf';
import { judge, noJudge } from '@osguard/testkit';

const readelf = judge('readelf');
const library = '/usr/lib/x86_64-linux-gnu';
const candidates = [
  '/bin/bash',
  '/bin/grep',
  '/usr/bin/openssl',
  `${library}/libc.so.6`,
  `${library}/libcrypto.so.3`,
  process.execPath,
];

function say(...args: readonly string[]): string {
  assert.ok(readelf);
  const { status, stdout, stderr } = readelf.run(args);
  assert.equal(status, 0, stderr);
  return stdout;
}

suite('ELF', () => {
  for (const given of candidates.filter((path) => existsSync(path))) {
    const path = realpathSync(given);
    test(path, { skip: readelf === undefined ? noJudge('readelf') : false }, () => {
      const elf = parseElf(sourceOf(readFileSync(path)));
      const segments = say('-lW', path);
      assert.equal(elf.interpreter, /interpreter: (.+)\]/.exec(segments)?.[1]);
      const stack = /GNU_STACK .* (RWE|RW) /.exec(segments)?.[1];
      assert.equal(elf.stack, stack === undefined ? 'unmarked' : stack === 'RWE' ? 'executable' : 'plain');
      const dynamic = say('-dW', path);
      assert.deepEqual(
        elf.needed,
        [...dynamic.matchAll(/\(NEEDED\).*\[(.+)\]/g)].map(([, name]) => name),
      );
      assert.equal(elf.soname, /\(SONAME\).*\[(.+)\]/.exec(dynamic)?.[1]);
      assert.equal(elf.textRelocations, /TEXTREL/.test(dynamic));
      const imports = new Set<string>();
      const exports = new Set<string>();
      for (const line of say('--dyn-syms', '-W', path).split('\n')) {
        const [, , , , , , section, name] = line.trim().split(/\s+/);
        if (name === undefined || section === undefined || !/^\s*\d+:/.test(line)) continue;
        (section === 'UND' ? imports : exports).add(name.replace(/@.*$/, '').slice(0, 512));
      }
      assert.deepEqual([...elf.imports].sort(), [...imports].sort());
      assert.deepEqual([...elf.exports].sort(), [...exports].sort());
      assert.equal(elf.machine, elfMachines.get('amd64'));
    });
  }

  test('what is cut short or contradicts itself is refused', () => {
    const whole = readFileSync('/bin/bash');
    for (const length of [0, 4, 20, 63, 100, 700]) {
      assert.throws(() => parseElf(sourceOf(whole.subarray(0, length))), FormatError, String(length));
    }
    const broken = Uint8Array.from(whole);
    broken[54] = 1;
    assert.throws(() => parseElf(sourceOf(broken)), /program headers of 1 bytes/);
  });
});
