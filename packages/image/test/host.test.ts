import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { initKeys, loadKeyring } from '@osguard/keys';
import { parseNodeConfiguration } from '@osguard/formats/node-configuration';
import { scratch } from '@osguard/testkit';
import { parseDefinition } from '../src/definition/index.ts';
import { findKernel, installNode, prepareHost, settleHost } from '../src/host/index.ts';
import { BodyReader, RootTree } from '../src/tree/index.ts';

const time = 1_700_000_000;
const definition = {
  name: 'container-host',
  hostname: undefined,
  profile: 'hardened',
  packages: ['grep', 'openssh-server'],
  units: { enable: ['systemd-logind.service'], disable: [], mask: [] },
  modules: { load: [], deny: [] },
  enforcement: { ipe: 'enforce', selinux: 'enforcing' },
} as const;

function installed(): RootTree {
  const tree = new RootTree();
  for (const path of [
    'usr/bin/crun',
    'usr/bin/sed',
    'usr/bin/grep',
    'usr/sbin/fsck',
    'usr/bin/lsblk',
    'usr/lib/systemd/system-generators/systemd-gpt-auto-generator',
    'usr/lib/udev/rules.d/99-systemd.rules',
    'usr/lib/udev/rules.d/78-sound-card.rules',
    'usr/lib/modules/7.3/vmlinuz',
    'usr/lib/modules/7.3/modules.dep.bin',
    'var/lib/dpkg/status',
    'etc/passwd',
    'etc/hosts',
    'etc/pam.d/login',
    'etc/ssh/ssh_config.d/20-systemd-ssh-proxy.conf',
    'etc/ssh/sshd_config',
  ]) {
    tree.putFile(path, path);
  }
  tree.putLink('etc/systemd/system/multi-user.target.wants/made-by-a-script.service', '/dev/null');
  return tree;
}

const records = {
  packages: [
    { name: 'sed', version: '1', architecture: 'amd64', files: ['usr/bin/sed'] },
    { name: 'grep', version: '1', architecture: 'amd64', files: ['usr/bin/grep'] },
    {
      name: 'openssh-server',
      version: '1',
      architecture: 'amd64',
      files: ['etc/ssh', 'etc/ssh/sshd_config'],
    },
    { name: 'util-linux', version: '1', architecture: 'amd64', files: ['usr/sbin/fsck', 'usr/bin/lsblk'] },
  ],
  owners: new Map<string, string>(),
} as unknown as Parameters<typeof prepareHost>[1]['records'];

function built(): RootTree {
  const tree = installed();
  const selinux = new RootTree();
  selinux.putFile('etc/selinux/config', '# comment\nSELINUX=permissive\nSELINUXTYPE=default\n');
  selinux.putFile('etc/selinux/default/policy/policy.33', 'policy');
  prepareHost(tree, { definition, records, time });
  settleHost(tree, { definition, selinux, time });
  return tree;
}

test('only /usr is left, /etc and the SELinux policy are in it', () => {
  const tree = built();
  using bodies = new BodyReader();
  const text = (path: string): string => {
    const node = tree.get(path);
    assert.ok(node, path);
    return bodies.text(node);
  };
  assert.deepEqual(tree.names(''), ['usr']);
  assert.equal(text('usr/share/factory/etc/passwd'), 'etc/passwd');
  assert.equal(text('usr/share/factory/etc/machine-id'), '');
  assert.equal(text('usr/share/factory/etc/hostname'), 'container-host\n');
  assert.equal(tree.get('usr/share/factory/etc/selinux')?.target, '../usr/share/selinux-etc');
  assert.equal(text('usr/share/selinux-etc/config'), 'SELINUX=enforcing\nSELINUXTYPE=default\n');
  assert.equal(text('usr/share/selinux-etc/default/policy/policy.33'), 'policy');
});

test('what only the build needs goes, what the definition names stays', () => {
  const tree = built();
  assert.equal(tree.has('usr/bin/sed'), false);
  assert.equal(tree.has('usr/bin/lsblk'), false);
  assert.equal(tree.has('usr/sbin/fsck'), true);
  assert.equal(tree.has('usr/bin/grep'), true);
  assert.deepEqual(tree.names('usr/share/factory/etc/ssh'), ['sshd_config']);
  assert.equal(tree.has('usr/share/factory/etc/pam.d'), false);
  assert.equal(tree.has('usr/lib/systemd/system-generators'), false);
  assert.deepEqual(tree.names('usr/lib/udev/rules.d'), ['99-systemd.rules']);
  assert.deepEqual(tree.names('usr/lib/modules/7.3'), ['modules.dep.bin']);
  assert.equal(tree.get('usr/bin/runc')?.target, 'crun');
});

test('masks replace what scripts enabled, except for units the definition enables', () => {
  const tree = built();
  const units = 'usr/share/factory/etc/systemd/system';
  assert.equal(tree.get(`${units}/getty.target`)?.target, '/dev/null');
  assert.equal(tree.has(`${units}/systemd-logind.service`), false);
  assert.equal(tree.has(`${units}/multi-user.target.wants`), false);
  assert.equal(tree.get('usr/lib/systemd/system/local-fs.target.requires/var.mount')?.target, '../var.mount');
});

test('a kernel is found beside its modules or in /boot, and there must be one', () => {
  assert.equal(findKernel(installed()).release, '7.3');
  const old = new RootTree();
  old.putFile('usr/lib/modules/6.12/modules.dep', '');
  assert.throws(() => findKernel(old), /no kernel/);
  old.putFile('boot/vmlinuz-6.12', 'kernel');
  assert.equal(findKernel(old).path, 'boot/vmlinuz-6.12');
  old.putFile('usr/lib/modules/6.13/vmlinuz', 'kernel');
  assert.throws(() => findKernel(old), /2 kernels: 6\.12, 6\.13/);
});

test('no unit of ours starts a shell, and every failure in the initrd leads to the stop', () => {
  const folder = join(import.meta.dirname, '../src/initrd/files/usr/lib/systemd/system');
  const names = readdirSync(folder).filter((name) => /\.(?:service|mount)$/.test(name));
  assert.ok(names.length > 5);
  for (const name of names) {
    const unit = readFileSync(join(folder, name), 'utf8');
    assert.doesNotMatch(unit, /(?:^|\/)(?:ba|da)?sh\b/m, name);
    if (name !== 'emergency.service') assert.match(unit, /OnFailure=emergency\.target/, name);
  }
});

const never = (): Promise<never> => Promise.reject(new Error('was asked for'));

test('osguard-node comes with its configuration and unit, and only when the definition asks for it', async () => {
  using folder = scratch('node');
  await initKeys(folder.file('keys'), { roles: ['boot', 'verifier'] });
  const keyring = await loadKeyring(folder.file('keys'));
  const common = { keyring, folder: folder.path, time };
  const smallest = 'schema: osguard/v1\nname: host\nversion: "1"\n';
  const program = { path: import.meta.filename, size: 10, components: [] };

  const plain = new RootTree();
  await installNode(plain, { ...common, definition: parseDefinition(smallest).definition, program: never });
  assert.deepEqual(plain.names(''), []);

  const { definition: asking } = parseDefinition(
    `${smallest}attest: {verifier: "https://v:7443", interval: 1h}\n`,
  );
  await assert.rejects(installNode(new RootTree(), { ...common, definition: asking }), /osguard-node/);
  const tree = new RootTree();
  await installNode(tree, { ...common, definition: asking, program: async () => program });
  const node = tree.get('usr/lib/osguard/osguard-node');
  assert.deepEqual(node?.body, { kind: 'range', path: program.path, offset: 0, size: 10 });
  assert.equal(node?.mode, 0o755);
  using bodies = new BodyReader();
  const file = tree.get('usr/lib/osguard/node.json');
  assert.ok(file);
  const { release, attest, layers } = parseNodeConfiguration(bodies.text(file));
  assert.deepEqual(release, { name: 'host', version: '1' });
  assert.equal(attest?.verifier, 'https://v:7443');
  assert.equal(attest?.interval, 3600);
  assert.match(attest?.ca ?? '', /^-----BEGIN CERTIFICATE-----/);
  assert.equal(layers, undefined);
  const units = 'usr/lib/systemd/system';
  const link = tree.get(`${units}/multi-user.target.wants/osguard-attest.service`);
  assert.equal(link?.target, '../osguard-attest.service');
  assert.ok(tree.has(`${units}/osguard-attest.service`));
  assert.equal(tree.has(`${units}/osguard-layers.service`), false);
});

test('containerd learns the image of pods from the definition, and keeps the rest', async () => {
  using folder = scratch('layers');
  await initKeys(folder.file('keys'), {
    roles: ['layers', 'release'],
    rsaBits: { layers: 2048, release: 2048 },
  });
  const common = { keyring: await loadKeyring(folder.file('keys')), folder: folder.path, time };
  const configuration = async (layers: string): Promise<string> => {
    const asking = parseDefinition(
      `schema: osguard/v1\nname: host\nversion: "1"\nlayers: {mode: enforce${layers}}\n`,
    );
    const tree = new RootTree();
    const program = { path: import.meta.filename, size: 10, components: [] };
    await installNode(tree, { ...common, definition: asking.definition, program: async () => program });
    const file = tree.get('etc/containerd/config.toml');
    assert.ok(file);
    using bodies = new BodyReader();
    return bodies.text(file);
  };
  const plain = await configuration('');
  const named = await configuration(', sandboxImage: "registry.example/pause:3.10"');
  assert.doesNotMatch(plain, /sandbox_image/);
  assert.equal(named, `${plain}sandbox_image = "registry.example/pause:3.10"\n`);
  // Of which table the line is.
  assert.equal(
    plain.split('\n').findLast((line) => line.startsWith('[')),
    '[plugins."io.containerd.grpc.v1.cri"]',
  );
});

test('the units of osguard-node give up what a role does not need', () => {
  const folder = join(import.meta.dirname, '../src/host/node-files/attest/usr/lib/systemd/system');
  const unit = readFileSync(join(folder, 'osguard-attest.service'), 'utf8');
  for (const line of [
    'CapabilityBoundingSet=',
    'NoNewPrivileges=yes',
    'ProtectSystem=strict',
    'DevicePolicy=closed',
  ])
    assert.ok(unit.split('\n').includes(line), line);
  assert.doesNotMatch(unit, /Environment|EnvironmentFile|PassEnvironment|ImportCredential|LoadCredential/);
});
