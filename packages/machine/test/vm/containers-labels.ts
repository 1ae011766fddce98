/**
 * Which SELinux domain a process in a container is in. `ctr` has no flag for labels, so two containers of one image are made
 * from specifications that give each its own: what the CRI plugin does for pods.
 */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import type { ContainerHost, Outcome } from '../../src/containers/container-host.ts';
import type { Scene } from './containers-scene.ts';

const folder = '/run/labelled';
const secret = 'a secret of the first container';
const own = '/own';
/** Of the host, on /var: readable for root, and for root in a container that got the folder mounted. */
const hostSecret = '/var/lib/labels-of-host/secret';

interface Labelled {
  readonly name: string;
  readonly categories: string;
}
const first: Labelled = { name: 'first', categories: 'c1,c2' };
const other: Labelled = { name: 'other', categories: 'c3,c4' };

export function labelTests(scene: () => Scene): void {
  it('has a domain of its own, and neither the files of another container nor those of the host, when it is labelled', async (t) => {
    const { rig } = scene();
    const { host, files } = rig.booted;
    const image = files?.images.inside ?? assert.fail();
    const unlabelled = await host.run(image.reference, { command: ['/bin/cat', '/proc/self/attr/current'] });
    t.diagnostic(`without a label: ${unlabelled.output.trim()}`);
    await host.must(put(host, hostSecret, 'a secret of the host'), hostSecret);

    const chain = (await host.must(host.ctr('snapshots', '--snapshotter', 'osguard', 'ls'), 'snapshots'))
      .output;
    const layer = await chainOf(host, image.reference);
    assert.ok(chain.includes(layer), chain);
    for (const each of [first, other]) await mountRoot(host, each, layer);
    await host.must(put(host, `${folder}/${first.name}/secret`, secret), 'the secret of the first');

    const domain = await run(host, first, ['/bin/cat', '/proc/self/attr/current']);
    t.diagnostic(`with a label: ${domain.output.trim()}`);
    assert.match(domain.output, /container_t:s0:c1,c2/);
    const second = await run(host, other, ['/bin/cat', '/proc/self/attr/current']);
    assert.match(second.output, /container_t:s0:c3,c4/);

    const mine = await run(host, first, ['/bin/cat', `${own}/secret`], `${folder}/${first.name}`);
    assert.ok(mine.output.includes(secret), mine.output);
    const theirs = await run(host, other, ['/bin/cat', `${own}/secret`], `${folder}/${first.name}`);
    denied(theirs, secret);
    t.diagnostic(theirs.kernel.find((line) => line.includes('avc:')) ?? theirs.output);
    const hosts = await run(host, other, ['/bin/cat', `${own}/secret`], '/var/lib/labels-of-host');
    denied(hosts, 'a secret of the host');
    for (const { name } of [first, other]) {
      await host.must(host.program(['/usr/bin/umount', `${folder}/${name}`]), name);
      await host.must(host.ctr('snapshots', '--snapshotter', 'osguard', 'rm', name), name);
    }
  });
}

function denied({ output, kernel }: Outcome, text: string): void {
  assert.ok(!output.includes(text), output);
  assert.ok(
    kernel.some((line) => /avc:  denied .*container_t/.test(line)),
    `${output}\n${kernel.join('\n')}`,
  );
}

function put(host: ContainerHost, path: string, content: string): Promise<Outcome> {
  return host.ask('put-file', { path, content: Buffer.from(content).toString('hex') });
}

/** The chain ID of an image of one layer is its diff ID. */
async function chainOf(host: ContainerHost, reference: string): Promise<string> {
  const { output } = await host.must(
    host.ctr('images', 'mount', '--snapshotter', 'osguard', reference, `${folder}/look`),
    'images mount',
  );
  await host.ctr('images', 'unmount', '--rm', '--snapshotter', 'osguard', `${folder}/look`);
  return /sha256:[0-9a-f]{64}/.exec(output)?.[0] ?? assert.fail(output);
}

/** As containerd mounts the root folder of a container whose specification has a mount label. */
async function mountRoot(host: ContainerHost, { name, categories }: Labelled, layer: string): Promise<void> {
  const snapshots = (...args: readonly string[]): Promise<Outcome> =>
    host.must(host.ctr('snapshots', '--snapshotter', 'osguard', ...args), args.join(' '));
  await snapshots('prepare', name, layer);
  const place = `${folder}/${name}`;
  const { output } = await snapshots('mounts', place, name);
  const [, options = ''] = /-o (\S+)/.exec(output) ?? [];
  const context = `context="system_u:object_r:container_file_t:s0:${categories}"`;
  await host.must(put(host, `${place}/under`, ''), place);
  const mount = ['/usr/bin/mount', '-t', 'overlay', 'overlay', place, '-o', `${options},${context}`];
  await host.must(host.program(mount), `mount of ${name}`);
}

let runs = 0;

async function run(
  host: ContainerHost,
  { name, categories }: Labelled,
  args: readonly string[],
  mounted?: string,
): Promise<Outcome> {
  runs += 1;
  const specification = {
    ociVersion: '1.1.0',
    process: {
      user: { uid: 0, gid: 0 },
      args,
      env: ['PATH=/bin'],
      cwd: '/',
      noNewPrivileges: true,
      selinuxLabel: `system_u:system_r:container_t:s0:${categories}`,
    },
    root: { path: `${folder}/${name}` },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
      ...(mounted === undefined
        ? []
        : [{ destination: own, type: 'bind', source: mounted, options: ['rbind', 'ro'] }]),
    ],
    linux: {
      mountLabel: `system_u:object_r:container_file_t:s0:${categories}`,
      cgroupsPath: `/default/${name}-${runs}`,
      namespaces: ['pid', 'ipc', 'uts', 'mount', 'network'].map((type) => ({ type })),
    },
  };
  const file = `${folder}/${name}-${runs}.json`;
  await host.must(put(host, file, JSON.stringify(specification)), file);
  return host.ctr('run', '--rm', '--config', file, `${name}-${runs}`);
}
