/**
 * The agent: proves at once and then every interval, enrols when the verifier does not know it, and holds what it was
 * given exactly as long as the verdict counts.
 *
 * Two rules decide every case. Nothing counts that the verifier did not say within its own time limit: a refusal ends
 * trust at once, silence ends it when the last verdict runs out. And nothing is final: whatever went wrong, it tries again.
 */

import type { CheckMessage, ReasonCode } from '@osguard/attest/protocol';
import { NodeError } from '../error.ts';
import type { Log } from '../log.ts';
import { backoff, spread } from './backoff.ts';
import { describeCheck } from './describe-check.ts';
import { createChannelIdentity } from './identity.ts';
import type { ChannelIdentity } from './identity.ts';
import type { Keep } from './keep.ts';
import type { Machine, NodeKeys } from './machine.ts';
import { enrol, nodeOf, prove } from './prove.ts';
import type { MissingSecret, NodeState } from './status.ts';
import { reasonOf } from './verifier.ts';
import type { Verdict, Verifier } from './verifier.ts';

export interface Clock {
  /** Milliseconds since 1970, for people. */
  readonly wall: () => number;
  /** Calls once after that many seconds of a clock that only goes forward; returns how to call it off. */
  readonly alarm: (seconds: number, ring: () => void) => () => void;
  /** Returns early when the agent is stopped. */
  readonly wait: (seconds: number) => Promise<void>;
}

export interface AgentOptions {
  readonly machine: Machine;
  /** Opens a channel of its own. */
  readonly connect: (identity: ChannelIdentity) => Verifier;
  readonly keep: Keep;
  readonly log: Log;
  readonly clock: Clock;
  /** From 0 (inclusive) to 1. */
  readonly random: () => number;
  /** Address, for status and messages. */
  readonly verifier: string;
  /** Seconds. */
  readonly interval: number;
  /** Of the agent. */
  readonly version: string;
  readonly signal: AbortSignal;
}

/** The verifier spoke, and what it said before no longer counts. */
const endsTrust: ReadonlySet<ReasonCode> = new Set<ReasonCode>([
  'unknown-node',
  'evidence-refused',
  'endorsement-refused',
  'reenrolment-needed',
  'activation-refused',
  'not-trusted',
]);
/** Only an operator can change that; asking again costs little. */
const needsOperator: ReadonlySet<ReasonCode> = new Set<ReasonCode>([
  'endorsement-refused',
  'reenrolment-needed',
]);
/** Worth an enrolment: unknown, or known by another attestation key. */
const needsEnrolment: ReadonlySet<ReasonCode> = new Set<ReasonCode>(['unknown-node', 'evidence-refused']);

/** Runs until `signal` is aborted; afterwards nothing of what was given is left. */
export async function runAgent(options: AgentOptions): Promise<void> {
  const agent = new Agent(options);
  try {
    agent.begin();
    while (!options.signal.aborted) await options.clock.wait(await agent.turn());
  } finally {
    agent.end();
  }
}

class Agent {
  readonly #options: AgentOptions;
  #keys: NodeKeys | undefined;
  #node: string | undefined;
  #state: NodeState = 'unproven';
  #since = '';
  /** Calls off the end of the verdict. */
  #keepTrust: () => void = () => undefined;
  #expires: string | undefined;
  #secrets: readonly string[] = [];
  #missing: readonly MissingSecret[] = [];
  #failed: readonly CheckMessage[] = [];
  #problem: string | undefined;
  #failures = 0;

  constructor(options: AgentOptions) {
    this.#options = options;
  }

  begin(): void {
    this.#since = this.#now();
    this.#drop('unproven');
    this.#write();
  }

  end(): void {
    this.#drop('unproven');
    this.#write();
  }

  /** One attempt. Returns the seconds until the next. */
  async turn(): Promise<number> {
    const { interval, random, signal } = this.#options;
    let next: number;
    try {
      const { verdict, lifetime } = await this.#attempt();
      this.#problem = undefined;
      this.#failures = this.#missing.length === 0 ? 0 : this.#failures + 1;
      // In time before the verdict runs out, whatever the interval says.
      const most = verdict === 'trusted' ? lifetime * 0.75 : interval;
      const wanted =
        this.#failures === 0
          ? spread(interval, random)
          : backoff(this.#failures, { longest: interval, random });
      next = Math.max(1, Math.min(wanted, most));
    } catch (error) {
      if (signal.aborted) return 0;
      next = this.#failedAttempt(error);
    }
    this.#write();
    return next;
  }

  async #attempt(): Promise<Verdict> {
    const { machine, connect, log } = this.#options;
    if (this.#keys === undefined) {
      this.#keys = await machine.keys();
      const node = nodeOf(this.#keys);
      if (node !== this.#node) log.notice(`attest: this machine is node ${node}`);
      this.#node = node;
    }
    const identity = createChannelIdentity();
    using verifier = connect(identity);
    const verdict = await this.#prove(verifier, { identity, keys: this.#keys });
    if (verdict.verdict === 'trusted') {
      // First, so that the verdict runs out in time however long the secrets take.
      this.#trust(verdict);
      await this.#fetch(verdict.secrets, verifier);
    } else this.#refuse(verdict);
    return verdict;
  }

  async #prove(
    verifier: Verifier,
    { identity, keys }: { readonly identity: ChannelIdentity; readonly keys: NodeKeys },
  ): Promise<Verdict> {
    const { machine, log, verifier: address, version } = this.#options;
    const once = (): Promise<Verdict> => prove({ machine, verifier, identity, keys, version });
    try {
      return await once();
    } catch (error) {
      const reason = reasonOf(error);
      if (reason === undefined || !needsEnrolment.has(reason)) throw error;
      if (this.#state === 'trusted') this.#drop('unproven');
      log.notice(`attest: ${address} does not know this node by its keys, enrolling`);
      await enrol({ machine, verifier, keys });
      log.notice(`attest: enrolled at ${address} as ${machine.name}`);
      return await once();
    }
  }

  #trust({ lifetime, secrets }: Verdict): void {
    const { keep, log, clock } = this.#options;
    this.#keepTrust();
    this.#keepTrust = clock.alarm(lifetime, () => this.#runOut());
    this.#expires = new Date(clock.wall() + lifetime * 1000).toISOString();
    keep.only(secrets);
    this.#secrets = this.#secrets.filter((name) => secrets.includes(name));
    this.#failed = [];
    const say = this.#state === 'trusted' ? log.info : log.notice;
    say(`attest: TRUSTED for ${Math.round(lifetime)} s, secrets: ${secrets.join(', ') || 'none'}`);
    this.#enter('trusted');
  }

  /** One that cannot be had does not hold up the others. @throws when the verifier takes its verdict back. */
  async #fetch(names: readonly string[], verifier: Verifier): Promise<void> {
    const { keep, log } = this.#options;
    const missing: MissingSecret[] = [];
    let unreachable: string | undefined;
    for (const name of names) {
      try {
        if (unreachable !== undefined) throw new NodeError('verifier', unreachable);
        const bytes = await verifier.secret(name);
        // The verdict may have run out meanwhile.
        if (this.#state !== 'trusted') return;
        keep.secret(name, bytes);
        this.#secrets = [...this.#secrets.filter((each) => each !== name), name];
      } catch (error) {
        const reason = reasonOf(error);
        if (reason !== undefined && endsTrust.has(reason)) throw error;
        const problem = error instanceof Error ? error.message : String(error);
        missing.push({ name, problem });
        // What the verifier says it does not give is not kept from before.
        if (reason !== undefined) this.#secrets = this.#secrets.filter((each) => each !== name);
        else if (error instanceof NodeError) unreachable = problem;
        if (!this.#missing.some((each) => each.name === name && each.problem === problem))
          log.warning(`attest: secret ${name} is missing: ${problem}`);
      }
    }
    if (this.#state !== 'trusted') return;
    keep.only(this.#secrets);
    this.#missing = missing;
  }

  #refuse(verdict: Verdict): void {
    const { log } = this.#options;
    const before = JSON.stringify(this.#failed);
    this.#failed = verdict.checks.filter(({ ok }) => !ok);
    const isNews = this.#state !== 'refused' || JSON.stringify(this.#failed) !== before;
    this.#drop('refused');
    const say = isNews ? log.warning : log.info;
    say('attest: REFUSED by the verifier');
    for (const check of this.#failed) say(`attest: ${describeCheck(check)}`);
  }

  #failedAttempt(error: unknown): number {
    const { log, interval, random } = this.#options;
    const reason = reasonOf(error);
    const problem = error instanceof Error ? error.message : String(error);
    this.#failures += 1;
    // The first of a kind; the rest would fill the journal.
    if (problem !== this.#problem) log.warning(`attest: ${problem}`);
    else log.debug(`attest: ${problem}`);
    this.#problem = problem;
    // The TPM may have been cleared.
    if (!(error instanceof NodeError && error.code === 'verifier')) this.#keys = undefined;
    if (reason !== undefined && endsTrust.has(reason)) {
      if (needsOperator.has(reason))
        log.warning('attest: an operator has to allow this node at the verifier');
      this.#failed = [];
      this.#drop(needsOperator.has(reason) ? 'waiting' : 'unproven');
    }
    return backoff(this.#failures, { longest: Math.min(interval, 60), random });
  }

  /** What was given is taken away before anything else is said. */
  #drop(state: NodeState): void {
    this.#options.keep.only([]);
    this.#secrets = [];
    this.#missing = [];
    this.#expires = undefined;
    this.#keepTrust();
    this.#keepTrust = () => undefined;
    this.#enter(state);
  }

  /** Also while an attempt hangs. */
  #runOut(): void {
    this.#options.log.warning(
      'attest: the last verdict has run out and nothing newer came: what was given is gone',
    );
    this.#drop('unproven');
    this.#write();
  }

  #enter(state: NodeState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#since = this.#now();
  }

  #now(): string {
    return new Date(this.#options.clock.wall()).toISOString();
  }

  #write(): void {
    this.#options.keep.status({
      schema: 'osguard/node-status/v1',
      state: this.#state,
      since: this.#since,
      ...(this.#node !== undefined && { node: this.#node }),
      verifier: this.#options.verifier,
      ...(this.#expires !== undefined && { expires: this.#expires }),
      secrets: this.#secrets,
      missing: this.#missing,
      failed: this.#failed,
      ...(this.#problem !== undefined && { problem: this.#problem }),
    });
  }
}
