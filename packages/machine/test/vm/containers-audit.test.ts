/** A host with `layers.mode: audit`: what nobody signed is mounted and said so, and still does not execute. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { scratch } from '@osguard/testkit';

import { ContainerRig } from './containers-rig.ts';
import type { PushedImage } from './containers-rig.ts';
import { greets, mustPull, smallImage } from './containers-scene.ts';

describe('containers of a host that only audits layers', { timeout: 30 * 60_000 }, () => {
  const folder = scratch('audit');
  let opened: ContainerRig | undefined;
  let images: Readonly<Record<'signed' | 'unsigned', PushedImage>> | undefined;

  before(async () => {
    const rig = await ContainerRig.open({ folder, mode: 'audit' });
    opened = rig;
    const signer = await rig.keyring.signer('layers');
    images = {
      signed: await rig.push('signed', { files: smallImage('signed') }, signer),
      unsigned: await rig.push('unsigned', { files: smallImage('unsigned') }),
    };
    await rig.boot('audit');
  });
  after(async () => {
    await opened?.[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  });

  const rig = (): ContainerRig => opened ?? assert.fail('there is no host');
  const image = (name: 'signed' | 'unsigned'): PushedImage => images?.[name] ?? assert.fail();

  it('runs what is signed', async () => {
    const { host } = rig().booted;
    await mustPull(host, image('signed'));
    greets(await host.run(image('signed').reference));
  });

  it('mounts what is not, says so, and IPE executes nothing of it', async (t) => {
    const { host } = rig().booted;
    const pulled = await mustPull(host, image('unsigned'));
    const said = pulled.kernel.find((line) =>
      line.includes('is NOT signed; mounted because layers.mode is audit'),
    );
    assert.ok(said !== undefined, pulled.kernel.join('\n'));
    t.diagnostic(said);
    const { ok, output, kernel } = await host.run(image('unsigned').reference);
    assert.equal(ok, false, output);
    t.diagnostic(output.trim());
    const denial = kernel.find((line) => /ipe_op=EXECUTE .*path="\/greet"/.test(line));
    assert.ok(denial !== undefined, kernel.join('\n'));
    t.diagnostic(denial);
  });
});
