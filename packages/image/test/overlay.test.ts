import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';

import { scratch } from '@osguard/testkit';

import { parseDefinition } from '../src/definition/index.ts';
import { ImageError } from '../src/error.ts';
import { applyDefinition } from '../src/overlay/index.ts';
import { BodyReader, RootTree } from '../src/tree/index.ts';

const time = 1_700_000_000;
const vendor = 'usr/lib/systemd/system';

function installed(): RootTree {
  const tree = new RootTree();
  tree.putFile('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\n');
  tree.putFile('etc/group', 'root:x:0:\nrender:x:105:daemon\n');
  tree.putFile('etc/shadow', 'root:*:1::::::\n', { mode: 0o640, gid: 42 });
  tree.putFile('etc/gshadow', 'root:*::\nrender:!::daemon\n', { mode: 0o640, gid: 42 });
  tree.putFile(
    `${vendor}/web.service`,
    '[Unit]\n[Install]\nWantedBy=multi-user.target\nAlias=www.service\nAlso=web.socket\n',
  );
  tree.putFile(`${vendor}/web.socket`, '[Install]\nWantedBy=sockets.target\n');
  tree.putFile(`${vendor}/job@.service`, '[Install]\nWantedBy=multi-user.target\nDefaultInstance=main\n');
  tree.putFile(`${vendor}/static.service`, '[Service]\nExecStart=/usr/bin/true\n');
  tree.putLink('etc/systemd/system/multi-user.target.wants/old.service', `/${vendor}/old.service`);
  tree.putFile(`${vendor}/old.service`, '[Install]\nWantedBy=multi-user.target\n');
  return tree;
}

async function apply(tree: RootTree, yaml: string, folder = '.'): Promise<void> {
  const { definition } = parseDefinition(`schema: osguard/v1\nname: host\nversion: "1"\n${yaml}`);
  await applyDefinition(tree, definition, { folder, time });
}

function textAt(tree: RootTree, path: string): string {
  using bodies = new BodyReader();
  const node = tree.get(path);
  assert.ok(node !== undefined, `${path} is missing`);
  return bodies.text(node);
}

function target(tree: RootTree, path: string): string | undefined {
  return tree.get(path)?.target;
}

test('accounts are added locked, with their groups, and shadow keeps its mode', async () => {
  const tree = installed();
  await apply(
    tree,
    'users: [{name: app, uid: 1000, groups: [render], comment: An app}]\ngroups: [{name: data, gid: 2000}]\n',
  );
  assert.match(textAt(tree, 'etc/passwd'), /^app:x:1000:1000:An app:\/nonexistent:\/usr\/sbin\/nologin$/m);
  assert.match(textAt(tree, 'etc/group'), /^render:x:105:daemon,app$/m);
  assert.match(textAt(tree, 'etc/group'), /^data:x:2000:$/m);
  assert.match(textAt(tree, 'etc/shadow'), /^app:!\*:19675::::::$/m);
  assert.equal(tree.get('etc/shadow')?.mode, 0o640);
  await assert.rejects(
    apply(tree, 'users: [{name: other, uid: 1000}]\n'),
    /the user number 1000 belongs to app/,
  );
  await assert.rejects(
    apply(tree, 'users: [{name: new, uid: 1001, group: nobody}]\n'),
    /group nobody, which does not exist/,
  );
});

test('files come with owner, mode and date; sources only from the folder of the definition', async () => {
  using folder = scratch('overlay');
  mkdirSync(folder.file('host'));
  writeFileSync(folder.file('host/motd'), 'hello');
  writeFileSync(folder.file('secret'), 'secret');
  symlinkSync('../secret', folder.file('host/way-out'));
  const tree = installed();
  tree.putLink('etc/conf.d', '../usr/share/conf');
  tree.putDirectory('usr/share/conf');
  const yaml = `users: [{name: app, uid: 1000}]
files:
  - {path: /etc/motd, source: motd, owner: app, group: render, mode: "0600"}
  - {path: /etc/conf.d/a, content: a}
  - {path: /etc/empty, directory: true}
  - {path: /etc/link, link: ../usr}
`;
  await apply(tree, yaml, folder.file('host'));
  const { uid, gid, mode, mtime } = tree.get('etc/motd') ?? {};
  assert.deepEqual([uid, gid, mode, mtime], [1000, 105, 0o600, time]);
  assert.equal(textAt(tree, 'usr/share/conf/a'), 'a');
  assert.equal(target(tree, 'etc/link'), '../usr');
  const climbing = 'files: [{path: /etc/x, source: way-out}]\n';
  await assert.rejects(
    apply(tree, climbing, folder.file('host')),
    /lies outside the folder of the definition/,
  );
  await assert.rejects(
    apply(tree, 'files: [{path: /etc/x, source: none}]\n', folder.file('host')),
    /cannot be found/,
  );
  await assert.rejects(
    apply(tree, 'files: [{path: /etc/x, content: a, owner: who}]\n'),
    /user who, which does not exist/,
  );
  await assert.rejects(apply(tree, 'files: [{path: /etc/systemd, content: a}]\n'), ImageError);
});

test('units are enabled, disabled and masked by links', async () => {
  const tree = installed();
  await apply(
    tree,
    'units: {enable: [web.service, "job@.service", "job@two.service"], disable: [old.service], mask: [x.service]}\n',
  );
  const etc = 'etc/systemd/system';
  assert.equal(target(tree, `${etc}/multi-user.target.wants/web.service`), `/${vendor}/web.service`);
  assert.equal(target(tree, `${etc}/www.service`), `/${vendor}/web.service`);
  assert.equal(target(tree, `${etc}/sockets.target.wants/web.socket`), `/${vendor}/web.socket`);
  assert.equal(target(tree, `${etc}/multi-user.target.wants/job@main.service`), `/${vendor}/job@.service`);
  assert.equal(target(tree, `${etc}/multi-user.target.wants/job@two.service`), `/${vendor}/job@.service`);
  assert.equal(tree.has(`${etc}/multi-user.target.wants/old.service`), false);
  assert.equal(target(tree, `${etc}/x.service`), '/dev/null');
  await assert.rejects(
    apply(tree, 'units: {enable: [nothing.service]}\n'),
    /names nothing\.service, which no package/,
  );
  await assert.rejects(apply(tree, 'units: {enable: [static.service]}\n'), /has no \[Install\] section/);
});

test('a unit that comes with the definition can be enabled', async () => {
  const tree = installed();
  const unit =
    '{path: /etc/systemd/system/own.service, content: "[Install]\\nWantedBy=multi-user.target\\n"}';
  await apply(tree, `files: [${unit}]\nunits: {enable: [own.service]}\n`);
  assert.equal(target(tree, 'etc/systemd/system/multi-user.target.wants/own.service'), '../own.service');
});

test('kernel settings and the host name become files', async () => {
  const tree = installed();
  await apply(
    tree,
    'sysctls: {net.ipv4.ip_forward: 1}\nmodules: {load: [br_netfilter], deny: [usb_storage]}\nhostname: node-1\n',
  );
  assert.equal(textAt(tree, 'etc/sysctl.d/50-definition.conf'), 'net.ipv4.ip_forward = 1\n');
  assert.equal(textAt(tree, 'etc/modules-load.d/definition.conf'), 'br_netfilter\n');
  assert.equal(
    textAt(tree, 'etc/modprobe.d/definition.conf'),
    'blacklist usb_storage\ninstall usb_storage /usr/bin/false\n',
  );
  assert.equal(textAt(tree, 'etc/hostname'), 'node-1\n');
});
