/** A verifier and one machine that proves itself to it, boot after boot: what each boot came to, as both of them saw it. */

import { join } from 'node:path';
import type { CheckMessage } from '@osguard/attest/protocol';
import type { ServedVerifier } from '@osguard/attest/service';
import { serveVerifier } from '@osguard/attest/service';
import type { ReleaseFolder } from '@osguard/image';
import type { Keyring } from '@osguard/keys';
import type { Tools } from '../tools/open.ts';
import { authorityCertificateFile, openTpmAuthority } from '../vm/tpm-authority.ts';
import type { BootOutcome, BootRequest } from './demo-machine.ts';
import { DemoMachine } from './demo-machine.ts';
import { verifierPort } from './host-configuration.ts';

export interface LabOptions {
  readonly release: ReleaseFolder;
  /** Private keys of the roles boot and verifier, certificates of all. */
  readonly keyring: Keyring;
  readonly tools: Tools;
  /** Everything the lab writes lies in here. */
  readonly folder: string;
  /** Folder for the consoles of the boots. */
  readonly consoles?: string;
  readonly memoryMiB?: number;
  readonly cpus?: number;
  readonly signal?: AbortSignal;
}

/** What the verifier wrote down. */
export interface Decision {
  readonly kind: string;
  /** Node id, secret… */
  readonly subject: string;
  readonly reason: string | undefined;
}

export interface Seen {
  /** What the machine's console said. */
  readonly outcome: BootOutcome;
  /** What the verifier has on record about the node afterwards: `trusted`, `refused`, …, `unknown`. */
  readonly trust: string;
  /** First check that failed. */
  readonly reason: string | undefined;
  /** All that failed. */
  readonly failed: readonly CheckMessage[];
  /** What was decided during this boot. */
  readonly decisions: readonly Decision[];
}

const mostDecisions = 1000;

export class Lab implements AsyncDisposable {
  readonly options: LabOptions;
  readonly machine: DemoMachine;
  readonly verifier: ServedVerifier;
  /** Node id by the machine's own TPM. */
  readonly node: string;
  /** Evidence as it arrived, oldest first: what somebody could have kept who can read the verifier's memory. */
  readonly evidence: readonly Uint8Array[];
  readonly #clock: { ahead: number };

  private constructor(
    options: LabOptions,
    parts: Pick<Lab, 'machine' | 'verifier' | 'node'> & { readonly clock: { ahead: number } },
  ) {
    this.options = options;
    this.machine = parts.machine;
    this.verifier = parts.verifier;
    this.node = parts.node;
    this.#clock = parts.clock;
    this.evidence = recordEvidence(parts.verifier);
  }

  /** @param secrets what trust unlocks */
  static async open(options: LabOptions, secrets: ReadonlyMap<string, Uint8Array>): Promise<Lab> {
    const { release, keyring, folder } = options;
    const authority = openTpmAuthority(folder);
    const machine = new DemoMachine({ ...options, state: join(folder, 'machine') });
    const { ek: node } = await machine.manufacture(authority);
    const clock = { ahead: 0 };
    const verifier = await serveVerifier({
      keys: keyring.directory,
      state: join(folder, 'verifier'),
      host: '127.0.0.1',
      port: verifierPort(release),
      names: ['10.0.2.2'],
      endorsementRoots: [join(folder, authorityCertificateFile)],
      releases: [release.path],
      secrets,
      version: 'demonstration',
      now: () => Date.now() + clock.ahead,
      log: () => undefined,
    });
    return new Lab(options, { machine, verifier, node, clock });
  }

  /** Sets the verifier's clock ahead of the present. Milliseconds. */
  advance(milliseconds: number): void {
    this.#clock.ahead += milliseconds;
  }

  async boot(name: string, request: BootRequest): Promise<Seen> {
    const { consoles } = this.options;
    const { store } = this.verifier;
    const after = await this.lastDecision();
    const log = consoles === undefined ? {} : { consoleLog: join(consoles, `${name}.log`) };
    const outcome = await this.machine.boot({ ...request, ...log });
    const detail = await store.nodes.detail(this.node, Date.now() + this.#clock.ahead);
    return {
      outcome,
      trust: detail?.trust ?? 'unknown',
      reason: detail?.reason ?? undefined,
      failed: (detail?.checks ?? []).filter(({ ok }) => !ok),
      decisions: await this.decisions(after),
    };
  }

  async lastDecision(): Promise<number> {
    const all = await this.verifier.store.decisions.list({ after: 0, limit: mostDecisions });
    return all.at(-1)?.seq ?? 0;
  }

  async decisions(after: number): Promise<readonly Decision[]> {
    const all = await this.verifier.store.decisions.list({ after, limit: mostDecisions });
    return all.map(({ body }) => parseDecision(body));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.verifier.close();
  }
}

function parseDecision(body: string): Decision {
  const { kind, subject, data }: { kind?: unknown; subject?: unknown; data?: { reason?: unknown } | null } =
    JSON.parse(body);
  const reason = data?.reason;
  return {
    kind: String(kind),
    subject: String(subject),
    reason: typeof reason === 'string' ? reason : undefined,
  };
}

function recordEvidence({ context }: ServedVerifier): readonly Uint8Array[] {
  const seen: Uint8Array[] = [];
  const inner = context.judge;
  const judge: typeof inner = {
    judge: async (request) => {
      seen.push(Uint8Array.from(request.evidence));
      return inner.judge(request);
    },
    configure: (settings) => inner.configure(settings),
    get pending() {
      return inner.pending;
    },
    get ready() {
      return inner.ready;
    },
    close: async () => inner.close(),
  };
  Object.defineProperty(context, 'judge', { value: judge });
  return seen;
}
