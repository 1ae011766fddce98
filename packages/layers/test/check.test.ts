/** What `layers check` finds, in real programs of this machine and in ones that were changed to be wrong. */

import assert from 'node:assert/strict';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { suite, test } from 'node:test';
import { checkImage, openImage, openLayout } from '@osguard/layers';
import type { Finding } from '@osguard/layers';
import { scratch, makeImage } from '@osguard/testkit';
import type { MadeFile } from '@osguard/testkit';

const linker = '/lib64/ld-linux-x86-64.so.2';
const library = '/usr/lib/x86_64-linux-gnu';
const onAmd64 = process.arch === 'x64' && existsSync(linker) ? false : `no ${linker} on this machine`;

/** The file under the name an image would have it by. */
function real(path: string, as: string = path): MadeFile {
  return { path: as.replace(/^\//, ''), body: readFileSync(realpathSync(path)), mode: 0o755 };
}

const dynamicLinker = (): MadeFile => real(linker);

async function check(
  layers: readonly (readonly MadeFile[])[],
  config: Readonly<Record<string, unknown>> = {},
  architecture = 'amd64',
): Promise<{
  readonly ok: boolean;
  readonly program: string | undefined;
  readonly findings: readonly Finding[];
}> {
  using dir = scratch('check');
  const store = openLayout(dir.file('layout'));
  await makeImage(store, { layers, config, architecture, compression: 'none', tag: 'x' });
  const { ok, images } = await checkImage(await openImage(`oci:${dir.file('layout')}:x`));
  const [image] = images;
  assert.ok(image);
  return { ok, program: image.program, findings: image.findings };
}

function brief(findings: readonly Finding[]): readonly string[] {
  return findings.map(({ id, level, path }) => `${level} ${id} ${path}`);
}

/** A copy with the flags of one program header changed (ELF64, little-endian). */
function withFlags(
  path: string,
  { type, flags }: { readonly type: number; readonly flags: number },
): Uint8Array {
  const bytes = readFileSync(path);
  const offset = Number(bytes.readBigUInt64LE(32));
  for (let index = 0; index < bytes.readUInt16LE(56); index += 1) {
    const at = offset + index * 56;
    if (bytes.readUInt32LE(at) !== type) continue;
    bytes.writeUInt32LE(flags, at + 4);
    return bytes;
  }
  return assert.fail(`${path} has no such segment`);
}

suite('layers check', { skip: onAmd64 }, () => {
  test('an ordinary program passes', async () => {
    const { ok, program, findings } = await check([[dynamicLinker(), real('/bin/true')]], {
      Entrypoint: ['/bin/true'],
    });
    assert.deepEqual([ok, program, brief(findings)], [true, '/bin/true', []]);
  });

  test('Node: refused, unless it is started without its JIT', async () => {
    const plain = await check([[dynamicLinker(), real(process.execPath, '/usr/bin/node')]], {
      Entrypoint: ['node', 'server.js'],
    });
    assert.equal(plain.ok, false);
    assert.deepEqual(brief(plain.findings).slice(0, 1), ['refused jit-v8 /usr/bin/node']);
    assert.match(plain.findings[0]?.evidence ?? '', /exports _ZN2v8/);
    // Smaller stand-ins, with V8's own words.
    const words = '\0Disable runtime allocation of executable memory.\0';
    const body = Buffer.concat([readFileSync('/bin/true'), Buffer.from(words)]);
    const node = [dynamicLinker(), { path: 'usr/bin/node', body, mode: 0o755 }];
    for (const config of [
      { Entrypoint: ['node', '--jitless', 'server.js'] },
      { Cmd: ['node'], Env: ['NODE_OPTIONS=--no-warnings --jitless'] },
    ]) {
      const { ok, findings } = await check([node], config);
      assert.ok(ok && brief(findings).includes('note jit-v8 /usr/bin/node'), brief(findings).join());
    }
    const other = await check([node], { Entrypoint: ['/bin/x', '--jitless'] });
    assert.ok(brief(other.findings).includes('refused jit-v8 /usr/bin/node'));
  });

  test('programs that use PCRE with its JIT', async () => {
    const grep = '/bin/grep';
    const { ok, findings } = await check([[dynamicLinker(), real(grep), real(`${library}/libc.so.6`)]]);
    assert.equal(ok, true);
    assert.deepEqual(brief(findings), ['limited jit-pcre /bin/grep']);
    assert.equal(findings[0]?.evidence, 'imports pcre2_jit_compile_8');
  });

  test('marks of layout: executable stack, writable text, the wrong architecture', async () => {
    const stack = withFlags('/bin/true', { type: 0x6474e551, flags: 7 });
    const text = withFlags('/bin/true', { type: 1, flags: 7 });
    // A library of this machine whose mark was made something else.
    const unmarked = readFileSync(realpathSync(`${library}/libpcre2-8.so.0`));
    unmarked.writeUInt32LE(0x6474e5ff, unmarked.indexOf(Buffer.from('51e57464', 'hex')));
    const arm = readFileSync('/bin/true');
    arm.writeUInt16LE(183, 18);
    const files = [
      dynamicLinker(),
      { path: 'a/stack', body: stack, mode: 0o755 },
      { path: 'a/text', body: text, mode: 0o755 },
      { path: 'a/arm', body: arm, mode: 0o755 },
      { path: 'a/unmarked.so', body: unmarked },
    ];
    assert.deepEqual(brief((await check([files])).findings), [
      'refused executable-stack /a/unmarked.so',
      'limited jit-pcre /a/unmarked.so',
      'note foreign-architecture /a/arm',
      'note executable-stack /a/stack',
      'note writable-text /a/text',
    ]);
  });

  test('what gives itself away by a text', async () => {
    const program = readFileSync('/bin/true');
    const saying = (text: string): Uint8Array => Buffer.concat([program, Buffer.from(`\0${text}\0`)]);
    const files = [
      dynamicLinker(),
      { path: 'bin/runc', body: saying('runc:[1:CHILD]') },
      { path: 'bin/once', body: saying('_MEIPASS2') },
      { path: 'lib/libffi.so.7', body: program },
      { path: 'lib/libffi.so.8', body: program },
      { path: 'lib/libjvm.so', body: program },
      { path: 'lib/zero/libjvm.so', body: saying('OpenJDK 64-Bit Zero VM') },
      { path: 'share/text', body: 'runc:[1:CHILD] is only mentioned here' },
    ];
    assert.deepEqual(brief((await check([files])).findings), [
      'refused self-extracting /bin/once',
      'refused memfd-clone /bin/runc',
      'refused jit-java /lib/libjvm.so',
      'limited libffi-closures /lib/libffi.so.7',
    ]);
  });

  test('volumes, temporary folders, and programs that are not there', async () => {
    const files = [dynamicLinker(), real('/bin/true', '/data/tool'), real('/bin/true', '/database')];
    const inVolume = await check([files], { Entrypoint: ['/data/tool'], Volumes: { '/data/': {} } });
    assert.deepEqual(brief(inVolume.findings), [
      'refused entry-point-unsigned /data/tool',
      'refused in-volume /data/tool',
    ]);
    const temporary = await check([files], { Entrypoint: ['x'], WorkingDir: '/tmp', Env: ['PATH=/bin'] });
    assert.deepEqual(brief(temporary.findings), ['refused entry-point-missing /bin/x']);
    const relative = await check([files], { Entrypoint: ['./x'], WorkingDir: '/tmp/y' });
    assert.deepEqual(brief(relative.findings), ['refused entry-point-unsigned /tmp/y/x']);
    const without = await check([[real('/bin/true')]], { Entrypoint: ['true'] });
    assert.deepEqual(brief(without.findings), ['refused interpreter-missing /bin/true']);
  });

  test('scripts, interpreters and raised rights are noted', async () => {
    const files = [
      dynamicLinker(),
      real('/bin/bash'),
      { path: 'start.sh', body: '#!/bin/bash -e\nexec /app\n', mode: 0o755 },
      { path: 'lost', body: '#!/usr/bin/lost\n', mode: 0o755 },
      { ...real('/bin/true', '/bin/su'), mode: 0o4755 },
    ];
    const { ok, program, findings } = await check([files], { Entrypoint: ['/start.sh'] });
    assert.deepEqual([ok, program], [true, '/start.sh']);
    assert.deepEqual(brief(findings), [
      'note interpreter /bin/bash',
      'note setuid /bin/su',
      'note entry-point-script /start.sh',
    ]);
    const shell = await check([files], { Entrypoint: ['bash', '-c'], Cmd: ['/start.sh'] });
    assert.ok(brief(shell.findings).includes('note entry-point-script /bin/bash'));
    const lost = await check([files], { Entrypoint: ['/lost'] });
    assert.equal(brief(lost.findings)[0], 'refused interpreter-missing /lost');
  });

  test('what an upper layer hides is not spoken of', async () => {
    const bad = { path: 'lib/libjvm.so', body: readFileSync('/bin/true') };
    const hidden: readonly (readonly MadeFile[])[] = [
      [{ path: 'lib/.wh.libjvm.so', body: '' }],
      [{ path: '.wh.lib', body: '' }],
      [{ path: 'lib/.wh..wh..opq', body: '' }],
      [{ path: 'lib', body: 'now a file' }],
      [{ path: 'lib/libjvm.so', body: 'replaced' }],
    ];
    for (const upper of hidden) {
      const { findings } = await check([[dynamicLinker(), bad], upper]);
      assert.deepEqual(brief(findings), [], upper[0]?.path);
    }
    const { findings } = await check([[dynamicLinker(), bad], [{ path: 'lib/.wh.other', body: '' }]]);
    assert.deepEqual(brief(findings), ['refused jit-java /lib/libjvm.so']);
    assert.equal(findings[0]?.layer, 1);
  });
});
