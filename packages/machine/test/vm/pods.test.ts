/**
 * Pods in the enforcing host, as kubelet makes them: through the CRI of real containerd. `OSGUARD_CONTAINERD_SUITE=forky`
 * gives the host containerd 2.x of that suite of Debian.
 */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cri } from '@osguard/node/containerd';
import { containerStates, namespaceModes, sandboxStates } from '@osguard/node/containerd';
import { scratch } from '@osguard/testkit';

import type { ContainerHost } from '../../src/containers/container-host.ts';
import { greeting, greetingProgram, waitingProgram } from '../../src/containers/greeting-program.ts';
import { parseCleanBoot } from '../../src/prove/clean-boot.ts';
import type { PodRig } from './pods-rig.ts';
import { openPodRig, podFiles } from './pods-rig.ts';

type Request<Method extends keyof Cri['runtime']> = Exclude<
  Parameters<Cri['runtime'][Method]>[0],
  { $typeName: string }
>;
type SandboxConfig = Exclude<NonNullable<Request<'runPodSandbox'>['config']>, { $typeName: string }>;
type ContainerConfig = Exclude<NonNullable<Request<'createContainer'>['config']>, { $typeName: string }>;

interface Pod {
  readonly id: string;
  readonly config: SandboxConfig;
}

interface Said {
  readonly exitCode: number;
  readonly output: string;
}

const volumes = '/var/lib/kubelet/pods';
const busybox = '/bin/busybox';
const sleeping = [busybox, 'sleep', '100000'];
const hello = greeting.trim();

function logs(name: string): string {
  return `/var/log/pods/${name}`;
}

describe('pods', { timeout: 40 * 60_000 }, () => {
  const folder = scratch('pods');
  let opened: PodRig | undefined;
  let first: Pod;
  let app: string;
  const rig = (): PodRig => opened ?? assert.fail('the host did not boot');
  const host = (): ContainerHost => rig().booted.host;
  const image = (name: string): string => `${rig().registry}/${name}:1`;

  before(async () => {
    opened = await openPodRig({ folder, containerd: process.env['OSGUARD_CONTAINERD_SUITE'] });
    const files = podFiles(opened.busybox);
    await opened.push('pause', {
      files: [{ path: 'pause', body: waitingProgram(), mode: 0o755 }],
      command: ['/pause'],
    });
    await opened.push('app', { files });
    await opened.push('twin', { files: [...files, { path: 'twin', body: Buffer.from('unsigned') }] });
    await opened.sign('app');
  });
  after(async () => {
    await opened?.[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  });

  it('finds runtime and network ready', async () => {
    const { status } = await rig().cri.runtime.status({});
    const conditions = status?.conditions.map(({ type, status: good }) => [type, good]);
    assert.deepEqual(conditions, [
      ['RuntimeReady', true],
      ['NetworkReady', true],
      ['ContainerdHasNoDeprecationWarnings', true],
    ]);
  });

  it('makes none while the image that holds the namespaces is not signed', async () => {
    const made = run('early');
    await assert.rejects(made, /failed to get sandbox image .* is not signed \(looked in: .*\/pause\)/);
    await rig().sign('pause');
  });

  it('makes one with an address of its own', async () => {
    first = await run('first');
    const { status } = await rig().cri.runtime.podSandboxStatus({ podSandboxId: first.id });
    assert.equal(status?.state, sandboxStates.ready);
    assert.match(status.network?.ip ?? '', /^10\.88\.0\.\d+$/);
  });

  it('refuses an unsigned image in the answer to whoever asked', async () => {
    const pulled = rig().cri.images.pullImage({ image: { image: image('twin') } });
    await assert.rejects(
      pulled,
      /osguard: layer sha256:\w+ is not signed \(looked in: .*\/twin\) \(sign it with: /,
    );
  });

  it('runs a signed one, with logs, statistics and programs started in it', async () => {
    await rig().cri.images.pullImage({ image: { image: image('app') } });
    const memory = 64n * 1024n * 1024n;
    app = await start(first, 'app', {
      command: [busybox, 'sh', '-c', `/greet; exec ${sleeping.join(' ')}`],
      linux: { resources: { memoryLimitInBytes: memory } },
    });
    assert.deepEqual(await exec(app, '/greet'), { exitCode: 0, output: greeting });
    const log = await host().must(host().ask('read-text', { path: `${logs('first')}/app.log` }), 'the log');
    assert.match(log.output, new RegExp(`Z stdout F ${hello}$`, 'm'));
    const { stats } = await rig().cri.runtime.containerStats({ containerId: app });
    const used = stats?.memory?.workingSetBytes?.value ?? 0n;
    assert.ok(used > 0n && used < memory, String(used));
    assert.equal(stats?.writableLayer?.fsId?.mountpoint, '/var/lib/osguard');
    // containerd counts every ten seconds.
    const least = BigInt(rig().busybox.length);
    let counted = 0n;
    for (let tries = 0; tries < 60 && counted < least; tries += 1) {
      const { imageFilesystems } = await rig().cri.images.imageFsInfo({});
      counted = imageFilesystems[0]?.usedBytes?.value ?? 0n;
      await sleep(500);
    }
    assert.ok(counted >= least, String(counted));
    const listed = await host().program(['/usr/bin/crun', '--root', '/run/containerd/runc/k8s.io', 'list']);
    assert.match(listed.output, new RegExp(`^${app} +\\d+ +running`, 'm'));
  });

  it('gives each container a domain and categories of its own', async () => {
    const second = await start(first, 'second', { command: sleeping });
    const labels: string[] = [];
    for (const container of [app, second]) {
      const { output } = await shell(container, `${busybox} cat /proc/self/attr/current`);
      labels.push(output.replace('\0', '').trim());
    }
    for (const label of labels) assert.match(label, /^system_u:system_r:container_t:s0:c\d+,c\d+$/);
    // One pod, one label; another pod has another, though the image is the same.
    assert.equal(labels[0], labels[1]);
    const other = await run('other');
    const third = await start(other, 'third', { command: sleeping });
    const { output } = await shell(third, `${busybox} cat /proc/self/attr/current; /greet`);
    assert.ok(output.includes(hello), output);
    assert.ok(!output.includes(labels[0] ?? ''), output);
    await remove(other);
  });

  it('executes nothing from volumes', async () => {
    const folders = {
      memory: `${volumes}/uid-first/memory`,
      disk: `${volumes}/uid-first/disk`,
      // A folder that has the label of containers' files.
      hostPath: '/var/local-path-provisioner/pods',
    };
    await makeFolders(folders.hostPath);
    await host().must(host().ask('mount-memory', { folder: folders.memory }), 'an emptyDir in memory');
    const content = Buffer.from(greetingProgram()).toString('hex');
    for (const place of Object.values(folders))
      await host().must(host().ask('put-file', { path: `${place}/greet`, content, mode: '755' }), place);
    const mounts = Object.entries(folders).map(([name, hostPath]) => ({
      containerPath: `/${name}`,
      hostPath,
      selinuxRelabel: true,
    }));
    const container = await start(first, 'volumes', { command: sleeping, mounts });
    for (const name of Object.keys(folders)) {
      const written = await shell(container, `echo kept > /${name}/text && ${busybox} cat /${name}/text`);
      assert.deepEqual(written, { exitCode: 0, output: 'kept\n' }, name);
      const copied = `${busybox} cp /greet /${name}/copy && /${name}/copy`;
      for (const command of [`/${name}/greet`, copied]) {
        const { exitCode, output } = await shell(container, command);
        assert.equal(exitCode, 126, output);
        assert.match(output, /Permission denied/);
      }
    }
    const { kernel } = await host().ask('run-program', { argv: ['/usr/bin/crun', '--version'] });
    assert.deepEqual(kernel, []);
    await rig().cri.runtime.stopContainer({ containerId: container, timeout: 0n });
    await rig().cri.runtime.removeContainer({ containerId: container });
    await host().must(host().ask('unmount', { folder: folders.memory }), 'unmount');
  });

  it('lets pods talk to each other', async () => {
    const server = await start(first, 'server', {
      command: [busybox, 'sh', '-c', `while true; do echo from-first | ${busybox} nc -l -p 8080; done`],
    });
    const { status } = await rig().cri.runtime.podSandboxStatus({ podSandboxId: first.id });
    const address = status?.network?.ip ?? '';
    const client = await run('client');
    const container = await start(client, 'client', { command: sleeping });
    const { output } = await shell(container, `${busybox} nc -w 5 ${address} 8080 < /dev/null`);
    assert.equal(output, 'from-first\n');
    await remove(client);
    await rig().cri.runtime.removeContainer({ containerId: server });
  });

  it('makes one in the network of the host', async () => {
    const pod = await run('host', {
      hostname: '',
      linux: {
        cgroupParent: 'kubepods.slice',
        securityContext: { namespaceOptions: { network: namespaceModes.node } },
      },
    });
    const container = await start(pod, 'c', { command: ['/greet'] });
    for (let tries = 0; ; tries += 1) {
      const { status } = await rig().cri.runtime.containerStatus({ containerId: container });
      if (status?.state === containerStates.exited) {
        assert.equal(status.exitCode, 0);
        break;
      }
      if (tries === 50) assert.fail(`state ${status?.state}`);
      await sleep(200);
    }
    await remove(pod);
  });

  it('leaves nothing when pods and images are removed', async () => {
    await remove(first);
    const { images } = await rig().cri.images.listImages({});
    for (const { id } of images) await rig().cri.images.removeImage({ image: { image: id } });
    const places = [
      '/var/lib/osguard/snapshots',
      '/run/osguard-layers/layers',
      '/run/netns',
      '/run/containerd/io.containerd.runtime.v2.task/k8s.io',
    ];
    const left = async (): Promise<readonly string[]> => [
      ...(await host().list('/var/lib/osguard/layers')).filter((name) => name !== 'incoming'),
      ...(await host().list('/dev/mapper')).filter((name) => name.startsWith('osguard-layer')),
      ...(await host().list('/var/lib/cni/networks/pods')).filter((name) => /^\d/.test(name)),
      ...(await Promise.all(places.map((place) => host().list(place)))).flat(),
    ];
    for (let tries = 0; tries < 20 && (await left()).length > 0; tries += 1) await sleep(1000);
    assert.deepEqual(await left(), []);
  });

  it('was all done without a denial but those of volumes', async () => {
    const state = await rig().booted.intruder.ask('boot-state');
    const facts = parseCleanBoot(state.attempts[0]?.detail ?? '');
    const others = facts?.denials.filter(
      (line) => !/ipe_op=EXECUTE .*path="\/(?:memory|disk|hostPath)\/(?:greet|copy)"/.test(line),
    );
    assert.deepEqual(others, []);
    assert.equal((facts?.denials.length ?? 0) >= 6, true);
    assert.deepEqual(facts?.failedUnits, []);
  });

  async function run(name: string, more: Partial<SandboxConfig> = {}): Promise<Pod> {
    const config = {
      metadata: { name, uid: `uid-${name}`, namespace: 'default', attempt: 0 },
      hostname: name,
      logDirectory: logs(name),
      linux: { cgroupParent: 'kubepods.slice' },
      ...more,
    };
    await makeFolders(logs(name), `${volumes}/uid-${name}/disk`);
    const { podSandboxId } = await rig().cri.runtime.runPodSandbox({ config });
    return { id: podSandboxId, config };
  }

  /** With the labels that the folders of kubelet have. */
  async function makeFolders(...paths: readonly string[]): Promise<void> {
    const lines = paths.map((path) => `d ${path} 0755\n`).join('');
    const file = '/run/tmpfiles.d/pods-test.conf';
    const content = Buffer.from(lines).toString('hex');
    await host().must(host().ask('put-file', { path: file, content }), file);
    await host().must(host().program(['/usr/bin/systemd-tmpfiles', '--create', file]), 'folders');
  }

  async function start(pod: Pod, name: string, config: Partial<ContainerConfig>): Promise<string> {
    const { runtime } = rig().cri;
    const { containerId } = await runtime.createContainer({
      podSandboxId: pod.id,
      sandboxConfig: pod.config,
      config: {
        metadata: { name, attempt: 0 },
        image: { image: image('app') },
        logPath: `${name}.log`,
        ...config,
      },
    });
    await runtime.startContainer({ containerId });
    return containerId;
  }

  async function exec(containerId: string, ...cmd: readonly string[]): Promise<Said> {
    const answer = await rig().cri.runtime.execSync({ containerId, cmd: [...cmd], timeout: 60n });
    const { exitCode, stdout, stderr } = answer;
    return { exitCode, output: Buffer.concat([stdout, stderr]).toString() };
  }

  async function shell(containerId: string, text: string): Promise<Said> {
    return exec(containerId, busybox, 'sh', '-c', text);
  }

  async function remove({ id: podSandboxId }: Pod): Promise<void> {
    await rig().cri.runtime.stopPodSandbox({ podSandboxId });
    await rig().cri.runtime.removePodSandbox({ podSandboxId });
  }
});
