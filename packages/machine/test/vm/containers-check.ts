/** What `osguard layers check` says of an image before anyone deploys it, against what the host then really refuses. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import type { FindingId, FindingLevel } from '@osguard/layers';
import { checkImage } from '@osguard/layers';

import type { Outcome } from '../../src/containers/container-host.ts';
import { lastLine } from '../../src/containers/container-host.ts';
import { greeting } from '../../src/containers/greeting-program.ts';
import type { LayerFile } from '../../src/containers/make-image.ts';
import { testProgram } from '../../src/containers/test-programs.ts';
import type { Scene } from './containers-scene.ts';
import { forget, mustPull, smallImage } from './containers-scene.ts';

interface CheckedProgram {
  readonly path: string;
  readonly body: Uint8Array;
  readonly mode?: number;
  /** What the check must say of it. */
  readonly finding?: FindingId;
  /** What the kernel's log must say when it is refused; absent where it fails for another reason. */
  readonly denial?: RegExp;
}

/** Each prints the greeting when it gets to do what it is about. */
const programs: readonly CheckedProgram[] = [
  { path: 'plain', body: testProgram('greet') },
  { path: 'raised', body: testProgram('greet'), mode: 0o4755, finding: 'setuid' },
  {
    path: 'makes-code',
    body: testProgram('makesCode', { text: 'accel/tcg/' }),
    finding: 'jit-qemu',
    denial: /ipe_op=EXECUTE .*hook=MMAP .*comm="makes-code"/,
  },
  {
    path: 'unpacks-itself',
    body: testProgram('runsCopyInMemory', {
      text: '$Info: This file is packed with the UPX executable packer',
    }),
    finding: 'self-extracting',
    denial: /ipe_op=EXECUTE .*hook=BPRM_CHECK .*memfd|2F6D656D66643A/,
  },
  { path: 'stack', body: testProgram('runsStack', { stack: 7 }), finding: 'executable-stack' },
  {
    path: 'changes-itself',
    body: testProgram('changesItself', { writableText: true }),
    finding: 'writable-text',
  },
  {
    path: 'no-linker',
    body: testProgram('greet', { interpreter: '/lib/none' }),
    finding: 'interpreter-missing',
  },
  { path: 'arm', body: testProgram('greet', { machine: 183 }), finding: 'foreign-architecture' },
  {
    path: 'data/in-volume',
    body: testProgram('greet'),
    finding: 'in-volume',
    // No denial of IPE: /var is mounted noexec, which is asked before.
  },
];
const volume = '/data';
/** Where this test plays the one who makes a volume: with a copy of what the image has there. */
const copy = '/var/lib/volume-of-checked';

export function checkTests(scene: () => Scene): void {
  it('refuses what the check of the image said it would, and nothing else', async (t) => {
    const { rig } = scene();
    const { host } = rig.booted;
    const files: readonly LayerFile[] = programs.map(({ path, body, mode = 0o755 }) => ({
      path,
      body,
      mode,
    }));
    const signer = await rig.keyring.signer('layers');
    const image = await rig.push(
      'checked',
      { files: [...smallImage('checked'), ...files], volumes: [volume] },
      signer,
    );
    const levels = await findings(scene());
    await mustPull(host, image);
    for (const { path, body } of programs.filter((each) => each.path.startsWith('data/'))) {
      const content = Buffer.from(body).toString('hex');
      const place = `${copy}/${path.slice('data/'.length)}`;
      await host.must(host.ask('put-file', { path: place, content, mode: '755' }), place);
    }
    const wrong: string[] = [];
    for (const { path, finding, denial } of programs) {
      const said = levels.get(`/${path}`) ?? [];
      const mount = ['--mount', `type=bind,src=${copy},dst=${volume},options=rbind:rw`];
      const outcome = await host.run(image.reference, { flags: mount, command: [`/${path}`] });
      const ran = outcome.output.includes(greeting.trim());
      const line = describe(path, { said, ran, outcome });
      t.diagnostic(line);
      const predicted = said.every(([, level]) => level !== 'refused');
      const isNamed = finding === undefined ? said.length === 0 : said.some(([id]) => id === finding);
      const isLogged = denial === undefined || outcome.kernel.some((each) => denial.test(each));
      // A program of another machine runs nowhere here, and the check calls it no refusal.
      if (predicted !== ran && finding !== 'foreign-architecture') wrong.push(`otherwise: ${line}`);
      if (!isNamed) wrong.push(`not named ${finding ?? 'without finding'}: ${line}`);
      if (!isLogged) wrong.push(`not in the log: ${line} ${outcome.kernel.join(' | ')}`);
    }
    assert.deepEqual(wrong, []);
    await forget(host, image);
  });
}

type Levels = ReadonlyMap<string, readonly (readonly [FindingId, FindingLevel])[]>;

async function findings({ rig }: Scene): Promise<Levels> {
  const store = await rig.store('checked');
  const { name } = store;
  const { images } = await checkImage({ store, tag: '1', name });
  await store.close();
  const levels = new Map<string, (readonly [FindingId, FindingLevel])[]>();
  for (const { path, id, level } of images.flatMap((each) => each.findings)) {
    levels.set(path, [...(levels.get(path) ?? []), [id, level]]);
  }
  return levels;
}

interface Compared {
  readonly said: readonly (readonly [FindingId, FindingLevel])[];
  readonly ran: boolean;
  readonly outcome: Outcome;
}

function describe(path: string, { said, ran, outcome }: Compared): string {
  const check = said.map(([id, level]) => `${id} (${level})`).join(', ');
  const ipe = outcome.kernel.filter((line) => line.includes('ipe_op=')).length;
  const selinux = outcome.kernel.filter((line) => line.includes('avc:')).length;
  const came = ran ? 'ran' : `did not run (${lastLine(outcome.output)})`;
  return `${path}: check says ${check || 'nothing'}; on the host it ${came}, ${ipe} denials by IPE, ${selinux} by SELinux`;
}
