/** Prometheus metrics. Labels come from fixed lists only: nobody outside can make new series. */

import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Store } from '../store/index.ts';
import type { PolicyStatus } from './policy-status.ts';

export interface Metrics {
  readonly requests: Counter<'route' | 'status'>;
  readonly seconds: Histogram<'route'>;
  readonly evidence: Counter<'outcome'>;
  readonly failedChecks: Counter<'check'>;
  readonly enrolments: Counter<'outcome'>;
  readonly secrets: Counter<'outcome'>;
  readonly webhooks: Counter<'outcome'>;
  readonly refusals: Counter<'reason'>;
  text(): Promise<string>;
  readonly contentType: string;
}

export interface MetricsOptions {
  readonly store: Store;
  readonly now: () => number;
  readonly policy: PolicyStatus;
  readonly judging: () => boolean;
  readonly pending: () => number;
  readonly subscribers: () => number;
}

const name = (rest: string): string => `osguard_attest_${rest}`;

/** Milliseconds counted nodes are good for: a scrape does not make the store count each time. */
const countsFor = 5000;

export function createMetrics(options: MetricsOptions): Metrics {
  const { store, now, policy, judging: canJudge, pending, subscribers } = options;
  const registry = new Registry();
  const registers = [registry];
  const nodes = new Gauge({ name: name('nodes'), help: 'Nodes by trust', labelNames: ['trust'], registers });
  const up = new Gauge({ name: name('store_up'), help: '1 when the database answers', registers });
  const head = new Gauge({ name: name('decisions'), help: 'Decisions in the log', registers });
  const memory = new Gauge({ name: name('resident_bytes'), help: 'Memory of the process', registers });
  const judging = new Gauge({ name: name('judging'), help: 'Evidence waiting or being judged', registers });
  const able = new Gauge({ name: name('judge_up'), help: '1 when evidence can be judged', registers });
  const current = new Gauge({
    name: name('policy_current'),
    help: '1 when the policy in force is the one in the files, 0 when that one was refused',
    registers,
  });
  const since = new Gauge({
    name: name('policy_since_seconds'),
    help: 'When the policy came into force',
    registers,
  });
  const listening = new Gauge({ name: name('subscribers'), help: 'Open event streams', registers });
  let counted = Number.NEGATIVE_INFINITY;

  const measure = async (): Promise<void> => {
    memory.set(process.memoryUsage.rss());
    judging.set(pending());
    listening.set(subscribers());
    able.set(canJudge() ? 1 : 0);
    current.set(policy.problem === undefined ? 1 : 0);
    since.set(policy.since / 1000);
    try {
      head.set((await store.decisions.head()).seq);
      const at = performance.now();
      if (at - counted > countsFor) {
        const counts = await store.nodes.counts(now());
        nodes.reset();
        for (const { trust, count } of counts) nodes.inc({ trust }, count);
        counted = at;
      }
      up.set(1);
    } catch {
      // The one thing a scrape has to tell when the database is gone.
      up.set(0);
    }
  };

  const counter = <Label extends string>(
    rest: string,
    help: string,
    ...labelNames: Label[]
  ): Counter<Label> => new Counter({ name: name(rest), help, labelNames, registers });
  return {
    requests: counter('requests_total', 'Requests answered', 'route', 'status'),
    seconds: new Histogram({
      name: name('request_seconds'),
      help: 'Time to answer',
      labelNames: ['route'],
      buckets: [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5],
      registers,
    }),
    evidence: counter('evidence_total', 'Evidence by outcome', 'outcome'),
    failedChecks: counter('failed_checks_total', 'First failed check of refused evidence', 'check'),
    enrolments: counter('enrolments_total', 'Enrolments by outcome', 'outcome'),
    secrets: counter('secrets_total', 'Requests for secrets by outcome', 'outcome'),
    webhooks: counter('webhook_deliveries_total', 'Deliveries by outcome', 'outcome'),
    refusals: counter('refusals_total', 'Requests refused, by reason', 'reason'),
    contentType: registry.contentType,
    async text() {
      await measure();
      return registry.metrics();
    },
  };
}
