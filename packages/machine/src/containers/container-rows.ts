/** The attacks on containers, all in one boot: images with something wrong, then an intruder inside a right one. */

import { MachineError } from '../error.ts';
import type { Intruder } from '../prove/intruder.ts';
import { parseObservation } from '../prove/intruder.ts';
import type { Attempt, Observation, Row, RowName } from '../prove/row.ts';
import { judgeRow, untestable } from '../prove/row.ts';
import type { Outcome } from './container-host.ts';
import { ContainerHost, lastLine } from './container-host.ts';
import type { ContainerFiles } from './container-volume.ts';
import { containerDevice, layoutFolder } from './container-volume.ts';
import { changedGreeting, greeting } from './greeting-program.ts';
import { insideCommand } from './inside-files.ts';
import type { TestImage, TestImageName } from './test-images.ts';
import { archiveName } from './test-images.ts';

export interface ContainerRowsOptions {
  readonly intruder: Pick<Intruder, 'ask'>;
  readonly files: ContainerFiles;
  readonly rows: readonly RowName[];
  readonly onRow: (row: Row) => void;
}

const hostFolders = ['/var/lib/proof-host', '/var/lib/proof-empty'] as const;
/** Where an administrator puts a list by hand. */
const revocationsFile = '/var/lib/osguard/revocations.dsse';
const layersFolder = '/var/lib/osguard/layers';

/** @throws MachineError when the machine is gone; what cannot be tried is an untestable row. */
export async function containerRows({ intruder, files, rows, onRow }: ContainerRowsOptions): Promise<void> {
  if (rows.length === 0) return;
  const host = new ContainerHost(intruder);
  const proof = new ContainerProof(host, files);
  for (const row of rows) {
    try {
      onRow(judgeRow(row, await proof.observe(row.id)));
    } catch (error) {
      if (!(error instanceof MachineError) || error.code !== 'control-failed') throw error;
      onRow(untestable(row, error.message));
    }
  }
}

/** Attempts at images the host must refuse: which image, and what is wrong with it. */
const badImages: Readonly<Record<string, readonly (readonly [TestImageName, string])[]>> = {
  'layer-unsigned': [['unsigned', 'an image nobody signed']],
  'layer-foreign': [['foreign', 'an image signed by a foreign key']],
  'layer-swapped-signature': [['swapped', 'an image with the signature of another layer']],
  'signature-of-other-role': [['other-role', 'an image signed by the role usr']],
  'layer-tampered-blob': [
    ['tampered', 'one bit of the published layer changed'],
    ['tampered-anew', 'one bit changed, and published anew with right digests'],
  ],
};
/** How often, and after how many milliseconds, a service is asked again. */
const mostTries = 20;
const pause = 1500;
const insideAttacks = ['container-drop-exec', 'container-memfd', 'container-preload', 'container-mount-exec'];
/** Which of the kernel's lines belong to an attack: they name the file. */
const insideEvidence: Readonly<Record<string, RegExp>> = {
  'container-drop-exec': /path="\/(?:tmp\/|var\/tmp\/|dev\/shm\/|)answer-/,
  // A path with a space in it is written in hexadecimal.
  'container-memfd': /memfd:|path=2F6D656D66643A/,
  'container-preload': /path="[^"]*preload/,
  'container-mount-exec': /path="\/mnt\/\w+\/answer-/,
  'container-escape-write-usr': /comm="python/,
};

/** Gives containerd the images of the proof, and the host their signatures. @throws MachineError (`control-failed`) */
export async function importImages(host: ContainerHost): Promise<void> {
  const place = { device: containerDevice, folder: layoutFolder };
  await host.must(host.ask('mount-volume', place), 'the disk with the images');
  const archive = `${layoutFolder}/${archiveName}`;
  await host.must(host.ctr('images', 'import', '--no-unpack', archive), 'import of the images');
}

export class ContainerProof {
  readonly #host: ContainerHost;
  readonly #files: ContainerFiles;
  #control: Promise<Attempt> | undefined;
  #inside:
    | Promise<{ readonly seen: ReadonlyMap<string, Observation>; readonly outcome: Outcome }>
    | undefined;

  constructor(host: ContainerHost, files: ContainerFiles) {
    this.#host = host;
    this.#files = files;
  }

  /** @throws MachineError (`control-failed`) when it cannot be tried. */
  async observe(id: string): Promise<Observation> {
    const bad = badImages[id];
    if (bad !== undefined) return this.#refused(bad);
    if (insideAttacks.includes(id)) return this.#insideAttack(id);
    switch (id) {
      case 'layer-tampered-stored':
        return this.#tamperedStored();
      case 'rollback-to-revoked-layer':
        return this.#rollback();
      case 'container-escape-write-usr':
        return this.#escape(id);
      default:
        throw new MachineError('control-failed', `there is no attack ${id}`);
    }
  }

  /** The images are in the host, and the one that is as it must be runs. */
  #ready(): Promise<Attempt> {
    this.#control ??= this.#prepare();
    return this.#control;
  }

  async #prepare(): Promise<Attempt> {
    const host = this.#host;
    await importImages(host);
    const { images } = this.#files;
    const { ok, output } = await host.run(images.signed.reference);
    const ran = ok && output.includes(greeting.trim());
    return {
      succeeded: ran,
      detail: `the image signed by the role layers: ${ran ? greeting.trim() : lastLine(output)}`,
    };
  }

  async #refused(images: readonly (readonly [TestImageName, string])[]): Promise<Observation> {
    const control = await this.#ready();
    const outcomes: (readonly [string, Outcome])[] = [];
    for (const [name, what] of images) {
      outcomes.push([what, await this.#host.run(this.#files.images[name].reference)]);
    }
    return {
      attempts: outcomes.map(([what, outcome]) => offered(what, outcome)),
      control,
      kernel: outcomes.flatMap(([, { kernel }]) => kernel),
      seconds: sum(outcomes.map(([, outcome]) => outcome)),
    };
  }

  /** Read, changed on the disk, read again: by the same program, from the same stored layer. */
  async #tamperedStored(): Promise<Observation> {
    await this.#ready();
    const { stored } = this.#files.images;
    const before = await this.#host.run(stored.reference);
    await this.#flip(stored);
    const after = await this.#host.run(stored.reference);
    // Whoever else looks at the volume fills the kernel's log.
    await this.#host.ctr('images', 'rm', '--sync', stored.reference);
    const { output } = after;
    const ran = output.includes(changedGreeting.trim());
    return {
      attempts: [
        { succeeded: ran, detail: `after one bit of the stored layer was changed: ${lastLine(output)}` },
      ],
      control: greeted('before', before),
      kernel: after.kernel,
      seconds: sum([before, after]),
    };
  }

  /** What was revoked ran before, and stays away when root puts the older list back, or none. */
  async #rollback(): Promise<Observation> {
    await this.#ready();
    const host = this.#host;
    const { images, revocations } = this.#files;
    const run = async (): Promise<Outcome> => host.run(images.revoked.reference);
    const before = await run();
    await this.#putList(revocations.newer);
    const revoked = await run();
    await this.#putList(revocations.none);
    const older = await run();
    await host.must(host.ask('remove-file', { path: revocationsFile }), revocationsFile);
    const restarted = await host.program(['/usr/bin/systemctl', 'restart', 'osguard-layers.service']);
    await host.must(Promise.resolve(restarted), 'restart of osguard-layers');
    const none = await this.#onceServed(run);
    return {
      attempts: [
        offered('revoked', revoked),
        offered('with the older list put back', older),
        offered('without a list, the service started anew', none),
      ],
      control: greeted('before it was revoked', before),
      kernel: [revoked, older, none].flatMap(({ kernel }) =>
        kernel.filter((line) => line.includes('revoked')),
      ),
      seconds: sum([before, revoked, older, none]),
    };
  }

  /** containerd needs a moment to find a service that was started anew; what it says until then shows nothing. */
  async #onceServed(run: () => Promise<Outcome>): Promise<Outcome> {
    for (let tries = 0; tries < mostTries; tries += 1) {
      const outcome = await run();
      if (!/Error while dialing|connection (?:error|refused)/.test(outcome.output)) return outcome;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
    throw new MachineError('control-failed', 'osguard-layers does not answer after it was started anew');
  }

  async #putList(list: Uint8Array): Promise<void> {
    const args = { path: revocationsFile, content: Buffer.from(list).toString('hex') };
    await this.#host.must(this.#host.ask('put-file', args), revocationsFile);
  }

  async #flip({ rootHash, changeable }: TestImage): Promise<void> {
    const host = this.#host;
    const change = { path: `${layersFolder}/${rootHash ?? ''}/layer.erofs`, offset: changeable };
    await host.must(host.ask('change-byte', change), 'the bit in the stored layer');
    await host.must(host.ask('drop-caches', {}), 'caches');
  }

  async #insideAttack(id: string): Promise<Observation> {
    await this.#ready();
    this.#inside ??= this.#runInside();
    const { seen, outcome } = await this.#inside;
    const found = seen.get(id);
    if (found === undefined) throw new MachineError('control-failed', `${id}: ${lastLine(outcome.output)}`);
    // One container for all of them.
    const seconds = outcome.seconds / insideAttacks.length;
    return { ...found, kernel: evidenceOf(id, outcome), seconds };
  }

  async #runInside(): Promise<{
    readonly seen: ReadonlyMap<string, Observation>;
    readonly outcome: Outcome;
  }> {
    const host = this.#host;
    for (const folder of hostFolders) {
      await host.must(host.ask('put-file', { path: `${folder}/here`, content: '' }), folder);
    }
    const [outer, empty] = hostFolders;
    const flags = [
      'type=tmpfs,src=tmpfs,dst=/mnt/tmpfs,options=rw',
      `type=bind,src=${outer},dst=/mnt/host,options=rbind:rw`,
      `type=bind,src=${empty},dst=/mnt/empty,options=rbind:rw`,
    ].flatMap((mount) => ['--mount', mount]);
    const outcome = await host.run(this.#files.images.inside.reference, {
      flags,
      command: [...insideCommand, ...insideAttacks],
    });
    return { seen: parseInside(outcome), outcome };
  }

  async #escape(id: string): Promise<Observation> {
    await this.#ready();
    const outcome = await this.#host.run(this.#files.images.inside.reference, {
      flags: ['--privileged', '--mount', 'type=bind,src=/,dst=/host,options=rbind:rw'],
      command: [...insideCommand, id],
    });
    const found = parseInside(outcome).get(id);
    if (found === undefined) throw new MachineError('control-failed', `${id}: ${lastLine(outcome.output)}`);
    return { ...found, kernel: evidenceOf(id, outcome), seconds: outcome.seconds };
  }
}

/** Successful when the program of a small image could say its line. */
function greeted(what: string, { output }: Outcome): Attempt {
  return { succeeded: output.includes(greeting.trim()), detail: `${what}: ${lastLine(output)}` };
}

/** An image the host has to refuse itself: that it failed for another reason shows nothing. @throws MachineError */
function offered(what: string, outcome: Outcome): Attempt {
  const { output } = outcome;
  const changed = output.includes(changedGreeting.trim());
  const attempt = greeted(what, outcome);
  if (attempt.succeeded || changed) return { ...attempt, succeeded: true };
  if (output.includes('osguard: ')) return attempt;
  throw new MachineError('control-failed', `${what}: failed, but not by osguard: ${lastLine(output)}`);
}

function evidenceOf(id: string, { kernel }: Outcome): readonly string[] {
  const own = insideEvidence[id];
  return kernel.filter((line) => own === undefined || own.test(line));
}

/** What the intruder in the container printed; nothing when he did not come to it. */
function parseInside({ output, seconds }: Outcome): ReadonlyMap<string, Observation> {
  const line = /^(?:ctr: )?INSIDE (?<json>\{.*\})$/m.exec(output)?.groups?.['json'];
  if (line === undefined) return new Map();
  const value: unknown = JSON.parse(line);
  if (typeof value !== 'object' || value === null) return new Map();
  return new Map(
    Object.entries(value).map(([id, seen]: [string, unknown]) => [
      id,
      parseObservation(id, JSON.stringify({ ...Object(seen), kernel: [], seconds })),
    ]),
  );
}

function sum(outcomes: readonly Outcome[]): number {
  return outcomes.reduce((total, { seconds }) => total + seconds, 0);
}
