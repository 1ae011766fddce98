import { sourceOf } from '@osguard/formats/bytes';
import { ErofsWriter, readErofs } from '@osguard/formats/erofs';
import { buildUki } from '@osguard/formats/pe';
import type { FuzzTarget } from '@osguard/testkit';
import { defineFuzz, makePe } from '@osguard/testkit';
import { describeBootImage } from '../../src/inspect/boot-image.ts';
import { Findings } from '../../src/inspect/findings.ts';
import { describeSelinux } from '../../src/inspect/protections.ts';
import { describeUsr } from '../../src/inspect/usr.ts';

function smallImage(): Uint8Array {
  const image = new Uint8Array(64 * 1024);
  let size = 0;
  const sink = {
    write(offset: number, bytes: Uint8Array): void {
      image.set(bytes, offset);
      size = Math.max(size, offset + bytes.length);
    },
  };
  const writer = new ErofsWriter(sink, { uuid: new Uint8Array(16), buildTime: 1 });
  const common = { mode: 0o755, uid: 0, gid: 0, mtime: 1 };
  const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
  writer.add('/', { ...common, type: 'directory' });
  writer.add('/bin', { ...common, type: 'directory' });
  writer.add('/bin/sh', {
    ...common,
    type: 'symlink',
    target: 'bash',
    xattrs: new Map([['security.capability', capability]]),
  });
  writer.finish();
  return image.slice(0, size);
}

function smallUki(): Uint8Array {
  const pe = sourceOf(makePe({ gap: 0x800 }));
  const uki = buildUki({ stub: pe, linux: sourceOf(makePe({})), cmdline: 'quiet', uname: '6.12.0' });
  return Uint8Array.from(uki.read(0, uki.size));
}

export const target: FuzzTarget = defineFuzz({
  name: 'inspect',
  seeds: () => [smallImage(), smallUki()],
  run(bytes) {
    const findings = new Findings();
    const source = sourceOf(bytes);
    if (bytes[0] === 0x4d) return describeBootImage({ where: 'uki', source }, findings);
    const usr = { where: 'usr', image: readErofs(source), prefix: '/usr' } as const;
    return [describeUsr(usr, findings), describeSelinux(usr, findings)];
  },
});
