/**
 * /usr/lib/osguard/node.json: what osguard-node does on a host, as the definition said when the image was built. The file
 * lies in signed /usr; nothing else configures the node.
 */

import { FormatError } from '../bytes/index.ts';

export interface NodeConfiguration {
  readonly schema: 'osguard/node/v1';
  /** The release: what the definition calls itself. */
  readonly release: { readonly name: string; readonly version: string };
  readonly attest?: AttestConfiguration;
  readonly layers?: LayersConfiguration;
}

export interface AttestConfiguration {
  /** https address without a final slash. */
  readonly verifier: string;
  /** PEM certificates; one of them must have issued, or be, the certificate of the verifier. */
  readonly ca: string;
  /** Seconds between two proofs. */
  readonly interval: number;
}

export interface LayersConfiguration {
  /** `audit` mounts unsigned layers too; whether something in them runs is decided by IPE alone. */
  readonly mode: 'enforce' | 'audit';
  /** Registries (host and port) that may be reached without TLS; what they send is verified all the same. */
  readonly insecureRegistries: readonly string[];
  /** PEM certificates whose signatures of layers count; the kernel trusts more than these. */
  readonly signers: string;
  /** PEM certificate of the role release, which signs the list of revoked layers. */
  readonly release: string;
}

const largest = 256 * 1024;

/** Keys in a fixed order, so that equal configurations are equal bytes. */
export function encodeNodeConfiguration({ release, attest, layers }: NodeConfiguration): string {
  const ordered: NodeConfiguration = {
    schema: 'osguard/node/v1',
    release: { name: release.name, version: release.version },
    ...(attest !== undefined && {
      attest: { verifier: attest.verifier, ca: attest.ca, interval: attest.interval },
    }),
    ...(layers !== undefined && {
      layers: {
        mode: layers.mode,
        insecureRegistries: layers.insecureRegistries,
        signers: layers.signers,
        release: layers.release,
      },
    }),
  };
  return `${JSON.stringify(ordered, undefined, 2)}\n`;
}

/** @throws FormatError; unknown keys are errors, because a node must not do half of what it was told. */
export function parseNodeConfiguration(text: string): NodeConfiguration {
  if (text.length > largest) throw wrong(`has more than ${largest} characters`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw wrong('is not JSON', cause);
  }
  const top = record(value, 'the configuration', ['schema', 'release', 'attest', 'layers']);
  if (top['schema'] !== 'osguard/node/v1') throw wrong('schema is not osguard/node/v1');
  const release = record(top['release'], 'release', ['name', 'version']);
  return {
    schema: 'osguard/node/v1',
    release: {
      name: string(release['name'], 'release.name'),
      version: string(release['version'], 'release.version'),
    },
    ...(top['attest'] !== undefined && { attest: attestPart(top['attest']) }),
    ...(top['layers'] !== undefined && { layers: layersPart(top['layers']) }),
  };
}

function attestPart(value: unknown): AttestConfiguration {
  const { verifier, ca, interval } = record(value, 'attest', ['verifier', 'ca', 'interval']);
  const address = string(verifier, 'attest.verifier');
  if (!/^https:\/\/[^/?#@]+$/.test(address) || !URL.canParse(address))
    throw wrong('attest.verifier is not an https address of a host');
  if (typeof interval !== 'number' || !Number.isInteger(interval) || interval < 1 || interval > 86_400)
    throw wrong('attest.interval is not between 1 and 86400 seconds');
  return { verifier: address, ca: string(ca, 'attest.ca'), interval };
}

function layersPart(value: unknown): LayersConfiguration {
  const { mode, insecureRegistries, signers, release } = record(value, 'layers', [
    'mode',
    'insecureRegistries',
    'signers',
    'release',
  ]);
  if (mode !== 'enforce' && mode !== 'audit') throw wrong('layers.mode is neither enforce nor audit');
  if (!Array.isArray(insecureRegistries)) throw wrong('layers.insecureRegistries is not a list');
  return {
    mode,
    insecureRegistries: insecureRegistries.map((host) => string(host, 'layers.insecureRegistries')),
    signers: string(signers, 'layers.signers'),
    release: string(release, 'layers.release'),
  };
}

function record(value: unknown, what: string, keys: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw wrong(`${what} is not an object`);
  const unknown = Object.keys(value).find((key) => !keys.includes(key));
  if (unknown !== undefined)
    throw wrong(`${what} has an unknown key ${JSON.stringify(unknown.slice(0, 60))}`);
  return Object.fromEntries(Object.entries(value));
}

function string(value: unknown, what: string): string {
  if (typeof value !== 'string' || value === '') throw wrong(`${what} is not a text`);
  return value;
}

function wrong(message: string, cause?: unknown): FormatError {
  return new FormatError('malformed', `node configuration: ${message}`, { cause });
}
