/**
 * What the tests of containers stand on: a release of ports of its own, a registry in front of it that fails when asked to,
 * a verifier that trusts it, and a disk that outlives its boots.
 */

import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { ServedVerifier } from '@osguard/attest/service';
import { serveVerifier, setSecret } from '@osguard/attest/service';
import type { ByteSource } from '@osguard/formats/bytes';
import { encodePem } from '@osguard/formats/x509';
import { encodeLayerRevocations, layerRevocationsType } from '@osguard/formats/layer';
import type { LayerRevocations } from '@osguard/formats/layer';
import { parseReference } from '@osguard/formats/oci';
import { encodeReferenceValues } from '@osguard/formats/reference-values';
import { encodeRelease, releasePayloadType } from '@osguard/formats/release';
import type { ReleaseFolder } from '@osguard/image';
import { buildImage, defaultCacheFolder, predictMeasurements } from '@osguard/image';
import type { Keyring, Signer } from '@osguard/keys';
import { initKeys, loadKeyring, secureBootKeys, signDsse } from '@osguard/keys';
import type { ImageStore } from '@osguard/layers';
import { openRegistry, signImage } from '@osguard/layers';
import { buildNodeExecutable } from '@osguard/node';
import type { Scratch } from '@osguard/testkit';

import type { BootedHost, PreparedHost } from '../../src/containers/boot.ts';
import { prepareContainerHost, startContainerHost } from '../../src/containers/boot.ts';
import type { LocalRegistry } from '../../src/containers/local-registry.ts';
import { startLocalRegistry } from '../../src/containers/local-registry.ts';
import type { NewImage } from '../../src/containers/make-image.ts';
import { makeImage } from '../../src/containers/make-image.ts';
import { findChangeable } from '../../src/containers/test-images.ts';
import { runOrThrow } from '../../src/process/run.ts';
import type { Tools } from '../../src/tools/open.ts';
import { openTools } from '../../src/tools/open.ts';
import { manufactureTpm } from '../../src/vm/manufacture-tpm.ts';
import { authorityCertificateFile, openTpmAuthority } from '../../src/vm/tpm-authority.ts';
import { RegistryFront } from './containers-registry.ts';

const sink = (): void => undefined;
const definition = join(import.meta.dirname, '../../../../definitions/container-host.yaml');
/** How QEMU's user network shows this machine to the guest. */
const outside = '10.0.2.2';

export interface RigOptions {
  readonly folder: Scratch;
  readonly mode: 'enforce' | 'audit';
  /** Of the host's disk, as `qemu-img` takes it; that of the release unless given. */
  readonly diskSize?: string;
}

export interface PushedImage {
  /** As the host names it. */
  readonly reference: string;
  /** Of its layers, when they were signed. */
  readonly rootHashes: readonly string[];
}

export class ContainerRig implements AsyncDisposable {
  readonly release: ReleaseFolder;
  readonly keyring: Keyring;
  /** Of the role layers, but with a key and a certificate of its own. */
  readonly second: Signer;
  readonly front: RegistryFront;
  readonly verifier: ServedVerifier;
  readonly password = { user: 'host', password: 'not-for-the-log' };
  readonly #parts: Parts;
  #booted: BootedHost | undefined;

  private constructor(parts: Parts) {
    this.#parts = parts;
    const { release, keyring, second, front, verifier } = parts;
    this.release = release;
    this.keyring = keyring;
    this.second = second;
    this.front = front;
    this.verifier = verifier;
  }

  static async open({ folder, mode, diskSize }: RigOptions): Promise<ContainerRig> {
    const ports = { registry: await freePort(), behind: await freePort(), verifier: await freePort() };
    await initKeys(folder.file('keys'));
    await initKeys(folder.file('second'), { name: 'second', roles: ['layers'], rsaBits: { layers: 2048 } });
    const keyring = await loadKeyring(folder.file('keys'));
    const second = await (await loadKeyring(folder.file('second'))).signer('layers');
    const release = await build(folder, { keyring, second, mode, ports });
    const tools = await openTools({ sets: ['run', 'intruder', 'registry'] });
    const host = await prepareContainerHost({
      release,
      keyring,
      tools,
      folder: folder.file('boot'),
      images: true,
    });
    const state = folder.file('machine');
    const authority = openTpmAuthority(folder.path);
    await manufactureTpm(tools, { state, authority });
    await using scope = new AsyncDisposableStack();
    const registry = scope.use(
      await startLocalRegistry({ tools, folder: folder.file('registry'), port: ports.behind }),
    );
    const password = { user: 'host', password: 'not-for-the-log' };
    const front = scope.use(new RegistryFront({ port: ports.registry, behind: ports.behind, password }));
    await front.open();
    const verifier = await serveVerifier({
      keys: keyring.directory,
      state: folder.file('verifier'),
      host: '127.0.0.1',
      port: ports.verifier,
      names: [outside],
      endorsementRoots: [folder.file(authorityCertificateFile)],
      releases: [await describePlanted(folder, { release, keyring, planted: host.files.plantedUki })],
      version: 'test',
      log: () => undefined,
    });
    scope.defer(() => verifier.close());
    const overlay = folder.file('disk.qcow2');
    const base = release.file('disk.raw');
    const create = ['create', '-q', '-f', 'qcow2', '-b', base, '-F', 'raw', overlay];
    const size = diskSize === undefined ? [] : [diskSize];
    await runOrThrow(tools.command('qemu-img', [...create, ...size]));
    // `OSGUARD_CONSOLES` names a folder that keeps them.
    const consoles = process.env['OSGUARD_CONSOLES'] ?? folder.file('consoles');
    mkdirSync(consoles, { recursive: true });
    const running = scope.move();
    return new ContainerRig({
      folder,
      ports,
      release,
      keyring,
      second,
      tools,
      host,
      registry,
      front,
      verifier,
      state,
      overlay,
      consoles,
      running,
    });
  }

  /** As the host names the registry. */
  get registry(): string {
    return `${outside}:${this.#parts.ports.registry}`;
  }

  get booted(): BootedHost {
    if (this.#booted === undefined) throw new Error('the host is off');
    return this.#booted;
  }

  async boot(name: string): Promise<BootedHost> {
    const { tools, host, overlay, state, consoles } = this.#parts;
    // What firmware remembers of an earlier boot is no part of this one.
    rmSync(join(state, 'variables.fd'), { force: true });
    const options = { tools, name, network: true, overlay, state, consoles, sink };
    this.#booted = await startContainerHost(host, options);
    return this.#booted;
  }

  /** As an administrator does it. */
  async shutDown(): Promise<void> {
    const { host, guest } = this.booted;
    // The host may be gone before it answers.
    await host.program(['/usr/bin/systemctl', '--no-block', 'poweroff']).catch(() => undefined);
    const stopped = await guest.stopsWithin(180_000);
    await guest.stop();
    this.#booted = undefined;
    if (!stopped) throw new Error('the host did not shut down');
  }

  /** Whatever goes on. */
  async cutPower(): Promise<void> {
    await this.booted.guest.kill();
    this.#booted = undefined;
  }

  /** Flips the lowest bit of a byte of the host's disk, which is off. */
  async flip(offset: number): Promise<void> {
    const { tools, overlay } = this.#parts;
    const io = async (command: string): Promise<string> =>
      (await runOrThrow(tools.command('qemu-io', ['-f', 'qcow2', '-c', command, overlay]))).stdout;
    const byte = /^[0-9a-f]+: {2}([0-9a-f]{2})/m.exec(await io(`read -v ${offset} 1`))?.[1];
    if (byte === undefined) throw new Error(`byte ${offset} of the disk cannot be read`);
    await io(`write -q -P ${Number.parseInt(byte, 16) ^ 1} ${offset} 1`);
  }

  /** @param signer undefined leaves it without signature */
  async push(name: string, image: Omit<NewImage, 'tag'>, signer?: Signer): Promise<PushedImage> {
    return this.pushWith(name, {
      put: async (store) => void (await makeImage(store, { ...image, tag: '1' })),
      signer,
    });
  }

  async pushWith(
    name: string,
    {
      put,
      signer,
    }: { readonly put: (store: ImageStore) => Promise<void>; readonly signer: Signer | undefined },
  ): Promise<PushedImage> {
    const store = await this.store(name);
    await put(store);
    const reference = `${this.registry}/${name}:1`;
    let rootHashes: readonly string[] = [];
    if (signer !== undefined) {
      const workFolder = join(this.#parts.folder.file('signing'), name);
      mkdirSync(workFolder, { recursive: true });
      const { images } = await signImage({ store, tag: '1', name: reference }, { signer, workFolder });
      rootHashes = images[0]?.layers.map(({ rootHash }) => rootHash) ?? [];
      rmSync(workFolder, { recursive: true });
    }
    await store.close();
    return { reference, rootHashes };
  }

  /** Where in the image of the only layer the byte lies that tells the greeting from another one. */
  async changeable(name: string): Promise<number> {
    const store = await this.store(name);
    const workFolder = this.#parts.folder.file('changeable');
    mkdirSync(workFolder, { recursive: true });
    const { descriptor } = await store.manifest('1');
    const offset = await findChangeable(store, descriptor.digest, workFolder);
    await store.close();
    return offset;
  }

  async store(name: string): Promise<ImageStore> {
    const host = this.#parts.registry.host;
    return openRegistry(parseReference(`${host}/${name}`), {
      insecure: [host],
      credentials: async () => Promise.resolve(undefined),
    });
  }

  /** A signed list of revoked layers. */
  async revocations(
    version: number,
    revoked: Partial<Pick<LayerRevocations, 'rootHashes' | 'signers'>>,
  ): Promise<Uint8Array> {
    const payload = encodeLayerRevocations({
      version,
      issued: '2026-01-01T00:00:00Z',
      rootHashes: revoked.rootHashes ?? [],
      signers: revoked.signers ?? [],
    });
    const signer = await this.keyring.signer('release');
    return signDsse(signer, { payloadType: layerRevocationsType, payload });
  }

  /** What the verifier gives to trusted nodes from their next proof on. */
  async secret(name: string, value: Uint8Array): Promise<void> {
    await setSecret({ name, value, scope: 'everyone', by: 'test' }, this.verifier.context);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#booted?.[Symbol.asyncDispose]();
    await this.#parts.running.disposeAsync();
  }
}

interface Parts {
  readonly folder: Scratch;
  readonly ports: Ports;
  readonly release: ReleaseFolder;
  readonly keyring: Keyring;
  readonly second: Signer;
  readonly tools: Tools;
  readonly host: PreparedHost;
  readonly registry: LocalRegistry;
  readonly front: RegistryFront;
  readonly verifier: ServedVerifier;
  readonly state: string;
  readonly overlay: string;
  readonly consoles: string;
  readonly running: AsyncDisposableStack;
}

type Ports = Readonly<Record<'registry' | 'behind' | 'verifier', number>>;

interface BuildOptions {
  readonly keyring: Keyring;
  readonly second: Signer;
  readonly mode: RigOptions['mode'];
  readonly ports: Ports;
}

/** The definition that ships, with ports nobody else uses, one more signer and a proof every ten seconds. */
async function build(
  folder: Scratch,
  { keyring, second, mode, ports }: BuildOptions,
): Promise<ReleaseFolder> {
  writeFileSync(folder.file('second.crt'), encodePem('CERTIFICATE', second.certificate.der));
  const text = readFileSync(definition, 'utf8')
    .replace('10.0.2.2:7443', `${outside}:${ports.verifier}`)
    .replace('10.0.2.2:5000', `${outside}:${ports.registry}`)
    .replace('interval: 30s', 'interval: 10s')
    .replace('mode: enforce', `mode: ${mode}\n  signers: [{name: second, certificate: second.crt}]`);
  writeFileSync(folder.file('host.yaml'), text);
  const cacheFolder = defaultCacheFolder();
  const { release } = await buildImage({
    definition: folder.file('host.yaml'),
    keyring,
    output: folder.file('release'),
    cacheFolder,
    nodeProgram: () => buildNodeExecutable({ cacheFolder }),
    sink,
  });
  return release;
}

/** The release as it boots with the intruder inside: the same but for what its boot image measures. */
async function describePlanted(
  folder: Scratch,
  {
    release,
    keyring,
    planted,
  }: { readonly release: ReleaseFolder; readonly keyring: Keyring; readonly planted: ByteSource },
): Promise<string> {
  const { name, version } = release;
  const values = encodeReferenceValues(
    predictMeasurements({
      name,
      version,
      uki: planted,
      secureBoot: {
        keys: secureBootKeys(keyring, { db: release.databaseRoles }),
        authority: keyring.certificate('boot').der,
      },
    }),
  );
  const sha256 = createHash('sha256').update(values).digest('hex');
  const files = release.manifest.files.map((file) =>
    file.path === 'reference-values.json' ? { path: file.path, size: values.length, sha256 } : file,
  );
  const payload = encodeRelease({ ...release.manifest, files });
  const path = folder.file('planted');
  mkdirSync(path);
  writeFileSync(join(path, 'reference-values.json'), values);
  writeFileSync(
    join(path, 'release.json'),
    await signDsse(await keyring.signer('release'), { payloadType: releasePayloadType, payload }),
  );
  return path;
}

/** A port nobody listens on; somebody may take it before it is used, which fails the test loudly. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
