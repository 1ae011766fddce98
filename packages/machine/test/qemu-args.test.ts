import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { qemuArguments } from '../src/vm/qemu-args.ts';
import type { QemuPlan } from '../src/vm/qemu-args.ts';

const plan: QemuPlan = {
  accelerator: 'tcg',
  memoryMiB: 2048,
  cpus: 2,
  firmwareCode: '/fw/code.fd',
  variables: '/run/variables.fd',
  disks: [],
  tpmSocket: '/run/tpm.sock',
  smbios: [],
  firmwareConfig: new Map(),
  network: undefined,
  controlFd: 3,
  serialFds: [4],
  onReset: 'reboot',
  kernel: undefined,
};

/** The values given with one option, in order. */
const values = (args: readonly string[], option: string): string[] =>
  args.flatMap((arg, index) => (arg === option ? [args[index + 1] ?? ''] : []));

describe('qemuArguments', () => {
  it('always keeps the variable store behind SMM', () => {
    const args = qemuArguments(plan);
    assert.match(values(args, '-machine')[0] ?? '', /^q35,smm=on/);
    assert.ok(values(args, '-global').includes('driver=cfi.pflash01,property=secure,value=on'));
    assert.match(values(args, '-drive')[0] ?? '', /unit=0,readonly=on/);
  });

  it('has no network, no display and no default device unless asked for', () => {
    const args = qemuArguments(plan);
    assert.ok(args.includes('-nodefaults') && args.includes('-no-user-config'));
    assert.equal(values(args, '-netdev').length, 0);
    assert.ok(!args.some((arg) => arg.includes('virtio-net')));
  });

  it('cannot be given further options through commas in values', () => {
    const args = qemuArguments({
      ...plan,
      firmwareCode: '/a,b/code.fd',
      smbios: ['io.systemd.credential:x=1,value=y'],
      firmwareConfig: new Map([['opt/a,b', '/run/fw,0']]),
      disks: [
        {
          path: '/d,readonly=on"}',
          format: 'raw',
          readOnly: false,
          scratch: true,
          bootIndex: 0,
          serial: 'a,b',
        },
      ],
    });
    assert.match(values(args, '-drive')[0] ?? '', /file=\/a,,b\/code.fd$/);
    assert.deepEqual(values(args, '-smbios'), ['type=11,value=io.systemd.credential:x=1,,value=y']);
    assert.deepEqual(values(args, '-fw_cfg'), ['name=opt/a,,b,file=/run/fw,,0']);
    const node = JSON.parse(values(args, '-blockdev')[0] ?? '') as { file: { filename: string } };
    assert.equal(node.file.filename, '/d,readonly=on"}');
    assert.ok(args.some((arg) => arg.endsWith('serial=a,,b')));
  });

  it('gives several disks their own nodes and boot order', () => {
    const disk = { format: 'raw', readOnly: false, scratch: false, serial: undefined } as const;
    const args = qemuArguments({
      ...plan,
      disks: [
        { ...disk, path: '/a', bootIndex: 1 },
        { ...disk, path: '/b', bootIndex: 0 },
      ],
    });
    const devices = values(args, '-device').filter((device) => device.startsWith('virtio-blk'));
    assert.deepEqual(devices, [
      'virtio-blk-pci,drive=disk0,id=disk-device0,bootindex=1',
      'virtio-blk-pci,drive=disk1,id=disk-device1,bootindex=0',
    ]);
  });

  it('forwards ports of the loopback address only', () => {
    const network = { restrict: true, forward: [{ host: 8080, guest: 80 }] };
    const args = qemuArguments({ ...plan, network });
    assert.deepEqual(values(args, '-netdev'), ['user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:8080-:80']);
  });

  it('uses KVM with the host processor, TCG with threads', () => {
    assert.deepEqual(values(qemuArguments({ ...plan, accelerator: 'kvm' }), '-accel'), ['kvm']);
    assert.match(values(qemuArguments(plan), '-accel')[0] ?? '', /^tcg,thread=multi/);
  });
});
