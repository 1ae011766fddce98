/**
 * The container host with both ways to a root file system: layers the kernel verifies, and containerd's own overlayfs
 * snapshotter, which unpacks them. The release has to allow both (`ipe: audit`); what is typed is typed by the intruder.
 */

import { bootDisk } from '../prove/context.ts';
import { intruderMount } from '../prove/intruder-volume.ts';
import type { BootedHost, BootOptions } from '../containers/boot.ts';
import { bootContainerHost } from '../containers/boot.ts';
import type { ContainerHost, Outcome } from '../containers/container-host.ts';
import { containerDevice, containerSerialNumber, layoutFolder } from '../containers/container-volume.ts';
import { greeting } from '../containers/greeting-program.ts';
import { MachineError } from '../error.ts';
import type { PairImage } from './pair-image.ts';
import { archiveName } from './pair-image.ts';

/** containerd's name of a snapshotter. */
export type Snapshotter = 'osguard' | 'overlayfs';
export const snapshotters: readonly Snapshotter[] = ['osguard', 'overlayfs'];

export interface ReadFiles {
  readonly seconds: number;
  readonly files: number;
  readonly bytes: number;
}

const libraries = `${intruderMount}/usr/lib/x86_64-linux-gnu`;
const loader = [`${libraries}/ld-linux-x86-64.so.2`, '--library-path', libraries];
const ctr = '/usr/bin/ctr';

/** Names of all files first, then one `cat` of them all, which alone is timed. */
const readProgram = `
import json, os, sys, time
folder, cold = sys.argv[1], sys.argv[2] == "cold"
loader = ${JSON.stringify(loader)}
names = sorted(os.path.join(at, name) for at, _, names in os.walk(folder) for name in names)
names = [name for name in names if os.path.isfile(name) and not os.path.islink(name)]
size = sum(os.stat(name).st_size for name in names)
def cat(names):
    argv = [*loader, "${intruderMount}/bin/cat", *names]
    out = (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)
    pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=[out])
    if os.waitpid(pid, 0)[1] != 0: sys.exit("cat failed")
if cold:
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as file: file.write("3")
cat(["/dev/null"])
started = time.monotonic()
cat(names)
print("READ " + json.dumps({"seconds": time.monotonic() - started, "files": len(names), "bytes": size}))
`;

export type PairHostOptions = Pick<
  BootOptions,
  'release' | 'keyring' | 'tools' | 'folder' | 'sink' | 'consoles'
> & { readonly image: PairImage };

export class PairHost implements AsyncDisposable {
  readonly #booted: BootedHost;
  readonly #host: ContainerHost;
  readonly #reference: string;
  #next = 1;

  private constructor(booted: BootedHost, { reference }: PairImage) {
    this.#booted = booted;
    this.#host = booted.host;
    this.#reference = reference;
  }

  /** Boots it, brings the image into containerd, and has each snapshotter take its layers. @throws MachineError */
  static async start(options: PairHostOptions): Promise<PairHost> {
    const { image } = options;
    const disks = [{ ...bootDisk(image.path, 91), serial: containerSerialNumber }];
    await using scope = new AsyncDisposableStack();
    const booted = scope.use(await bootContainerHost({ ...options, images: false, network: false, disks }));
    const { host } = booted;
    await host.must(host.ask('mount-volume', { device: containerDevice, folder: layoutFolder }), 'the image');
    const archive = `${layoutFolder}/${archiveName}`;
    await host.must(host.ctr('images', 'import', '--no-unpack', archive), 'import');
    const pair = new PairHost(booted, image);
    for (const snapshotter of snapshotters) await pair.start(snapshotter);
    scope.move();
    return pair;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#booted[Symbol.asyncDispose]();
  }

  /** A program of the host, for whoever wants to know more. */
  async program(argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
    return this.#host.ask('run-program', { argv, env });
  }

  /** `ctr run --rm` to its end. Seconds. @throws MachineError (`control-failed`) when the container does not run */
  async start(snapshotter: Snapshotter): Promise<number> {
    const argv = [ctr, 'run', '--rm', '--snapshotter', snapshotter, this.#reference, this.#name()];
    const outcome = await this.#host.must(this.#host.program(argv), snapshotter);
    if (!outcome.output.includes(greeting.trim())) throw failed(snapshotter, outcome);
    return outcome.seconds;
  }

  /** A container that stays. @returns its root folder, as the host sees it */
  async keep(snapshotter: Snapshotter): Promise<string> {
    const name = this.#name();
    const args = ['run', '-d', '--snapshotter', snapshotter, this.#reference, name, '/wait'];
    await this.#host.must(this.#host.ctr(...args), snapshotter);
    return `/run/containerd/io.containerd.runtime.v2.task/default/${name}/rootfs`;
  }

  /** All files below a folder; cold: nothing of them is in memory. */
  async read(folder: string, temperature: 'cold' | 'warm'): Promise<ReadFiles> {
    const python = [...loader, `${intruderMount}/usr/bin/python3.13`, '-sSB', '-c', readProgram];
    const ask = this.#host.ask('run-program', {
      argv: [...python, folder, temperature],
      env: { PYTHONHOME: `${intruderMount}/usr` },
    });
    const outcome = await this.#host.must(ask, folder);
    const json = /READ (\{.*\})$/m.exec(outcome.output)?.[1];
    if (json === undefined) throw failed(folder, outcome);
    const { seconds, files, bytes }: ReadFiles = JSON.parse(json);
    return { seconds, files, bytes };
  }

  #name(): string {
    const name = `bench-${this.#next}`;
    this.#next += 1;
    return name;
  }
}

function failed(what: string, { output }: Outcome): MachineError {
  return new MachineError('control-failed', `${what}: ${output.slice(-400)}`);
}
