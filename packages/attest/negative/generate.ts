/**
 * Writes good.json and cases/*.json, or with names of cases only these: `node packages/attest/negative/generate.ts [NAME…]`.
 * Signatures are random, so every run gives other bytes with the same meaning; the files in the repository are what others
 * have tested against.
 */

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeEvidence } from '../src/evidence/parse.ts';
import type { CaseFile } from './case-file.ts';
import { caseSchemaName, writeContext } from './case-file.ts';
import { enrolmentLies, goodEnrolment } from './enrolment.ts';
import type { EnrolmentPlan } from './enrolment.ts';
import { lies } from './lies/index.ts';
import { goodPlan, settlePlan } from './model/baseline.ts';
import type { Plan } from './model/baseline.ts';

const oversizedFrom = 100_000;

function main(folder: string, names: readonly string[]): void {
  const cases = join(folder, 'cases');
  const good = caseOf(goodPlan(), { name: 'good', lie: 'nothing', check: null });
  if (names.length === 0) {
    rmSync(cases, { recursive: true, force: true });
    mkdirSync(cases);
    write(join(folder, 'good.json'), good);
  }
  const wanted = ({ name }: { readonly name: string }): boolean => names.length === 0 || names.includes(name);
  for (const { name, lie, check, change } of lies.filter(wanted)) {
    write(join(cases, `${name}.json`), differing(caseOf(change(goodPlan()), { name, lie, check }), good));
  }
  for (const { name, lie, check, change } of enrolmentLies.filter(wanted)) {
    write(join(cases, `${name}.json`), {
      schema: 'osguard/negative-enrolment/v1',
      name,
      lie,
      check,
      ...writeEnrolment(change(goodEnrolment())),
    });
  }
}

function caseOf(plan: Plan, head: Pick<CaseFile, 'name' | 'lie' | 'check'>): CaseFile {
  const settled = settlePlan(plan);
  const good = encodeEvidence(settled.evidence);
  const text = Buffer.from(plan.document?.(good) ?? good).toString('utf8');
  const spaces = text.length > oversizedFrom ? / *\}$/.exec(text)?.[0].length : undefined;
  const shown = spaces === undefined ? text : text.replace(/ +\}$/, '}');
  return {
    schema: caseSchemaName,
    ...head,
    document: plan.document === undefined || spaces !== undefined ? JSON.parse(shown) : shown,
    ...(spaces !== undefined && { spaces: spaces - 1 }),
    context: writeContext(settled),
  };
}

/** Of the context only what differs from the good one. */
function differing(file: CaseFile, good: CaseFile): CaseFile {
  const usual = new Map(Object.entries(good.context).map(([key, value]) => [key, JSON.stringify(value)]));
  const context = Object.entries(file.context).filter(
    ([key, value]) => usual.get(key) !== JSON.stringify(value),
  );
  return { ...file, context: Object.fromEntries(context) };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

function writeEnrolment({ claim, lists, required, now, ...plan }: EnrolmentPlan): unknown {
  const { roots, intermediates, keys } = plan;
  return {
    claim: { ek: base64(claim.ek), ekCertificates: claim.ekCertificates.map(base64), ak: base64(claim.ak) },
    context: {
      now: new Date(now).toISOString(),
      roots: roots.map(({ der }) => base64(der)),
      intermediates: intermediates.map(({ der }) => base64(der)),
      keys,
      ...(required && { revocation: { lists: lists.map(({ der }) => base64(der)), required } }),
    },
  };
}

function write(path: string, value: unknown): void {
  writeFileSync(path, `${JSON.stringify(value, undefined, 1)}\n`);
}

main(import.meta.dirname, process.argv.slice(2));
