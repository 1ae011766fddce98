import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ShownProof, ShownRow } from '../src/render/proof-html.ts';
import { escapeHtml, proofHtml } from '../src/render/proof-html.ts';

const row: ShownRow = {
  id: 'exec-tmp',
  protection: 'IPE: unsigned program on /tmp',
  result: 'blocked',
  control: 'ran',
  evidence: 'audit: ipe_op=EXECUTE path="/tmp/<script>alert(1)</script>"',
  seconds: 0.4,
  details: ['refused: Permission denied & more', 'control ran: "true"'],
};

function proof(results: readonly ShownRow['result'][]): ShownProof {
  const count = (result: string): number => results.filter((one) => one === result).length;
  return {
    release: { name: 'container-host', version: '1.0', rootHash: 'ab'.repeat(32) },
    checks: results.map((result, index) => Object.assign({}, row, { id: `row-${index}`, result })),
    summary: {
      blocked: count('blocked'),
      notBlocked: count('not-blocked'),
      untestable: count('untestable'),
      seconds: 75,
    },
    cleanBoot: {
      denials: [],
      failedUnits: ['a\u001b.service'],
      startup: ['Startup finished in 20s'],
      memoryUsed: 2e8,
    },
  };
}

test('the page says what was found, and nothing in the evidence can act', () => {
  const page = proofHtml(proof(['blocked', 'blocked']));
  assert(page.includes('all 2 attacks blocked'));
  assert(page.includes('&lt;script&gt;alert(1)&lt;/script&gt;'));
  assert(!/<script|<img|<link|src=|https?:/.test(page), 'self-contained');
  assert(!page.includes('\u001b'));
  assert(page.includes("default-src 'none'"));
  assert.match(proofHtml(proof(['blocked', 'not-blocked'])), /verdict not-blocked">1 attack not blocked/);
  assert.match(proofHtml(proof(['blocked', 'untestable'])), /1 could not be tried/);
});

test('a choice of attacks is not taken for the whole proof', () => {
  const environment = { accelerator: 'tcg', cpus: 2, memoryMiB: 2048, short: false, started: 'now' } as const;
  const chosen = proofHtml({ ...proof(['blocked']), environment: { ...environment, complete: false } });
  assert.match(chosen, /all 1 chosen attack blocked[^]*whole proof, chosen attacks only/);
  const whole = proofHtml({ ...proof(['blocked']), environment: { ...environment, complete: true } });
  assert.doesNotMatch(whole, /chosen/);
});

test('every tag is closed', () => {
  const open: string[] = [];
  for (const [, slash, name = ''] of proofHtml(proof(['blocked', 'untestable'])).matchAll(
    /<(\/?)([a-z0-9]+)[^>]*>/g,
  )) {
    if (['meta', 'br'].includes(name)) continue;
    if (slash === '') open.push(name);
    else assert.equal(open.pop(), name);
  }
  assert.deepEqual(open, []);
});

test('escaping', () => {
  assert.equal(
    escapeHtml(`<a href="x">'&'\u202e</a>`),
    '&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;\ufffd&lt;/a&gt;',
  );
});
