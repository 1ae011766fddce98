/** The proof as one self-contained page: no scripts, nothing fetched, light and dark, printable. */

import { formatBytes, formatDuration, plural } from './format.ts';

export interface ShownProof {
  readonly release: { readonly name: string; readonly version: string; readonly rootHash: string };
  readonly checks: readonly ShownRow[];
  readonly summary: {
    readonly blocked: number;
    readonly notBlocked: number;
    readonly untestable: number;
    readonly seconds: number;
  };
  readonly cleanBoot?: {
    readonly denials: readonly string[];
    readonly failedUnits: readonly string[];
    readonly startup: readonly string[];
    /** Bytes. */
    readonly memoryUsed: number;
    readonly interpreters?: readonly string[];
    readonly credentials?: readonly string[];
    readonly commandLine?: string;
    readonly context?: string;
    readonly lockdown?: string;
    readonly lsm?: string;
    readonly kernel?: string;
  };
  /** In which machine, and when. */
  readonly environment?: {
    readonly accelerator: 'kvm' | 'tcg';
    readonly cpus: number;
    readonly memoryMiB: number;
    readonly short: boolean;
    readonly complete: boolean;
    /** ISO 8601. */
    readonly started: string;
  };
}

export interface ShownRow {
  readonly id: string;
  readonly protection: string;
  readonly result: 'blocked' | 'not-blocked' | 'untestable';
  readonly control: 'ran' | 'failed' | 'none';
  readonly evidence: string;
  readonly seconds: number;
  readonly details?: readonly string[];
}

export const resultWords: Readonly<Record<ShownRow['result'], string>> = {
  blocked: 'blocked',
  'not-blocked': 'NOT BLOCKED',
  untestable: 'not testable here',
};

const controlWords: Readonly<Record<ShownRow['control'], string>> = {
  ran: 'works where it is allowed',
  failed: 'failed',
  none: 'none',
};

export function proofHtml(proof: ShownProof): string {
  const { release, checks, summary, cleanBoot } = proof;
  const title = `${release.name} ${release.version}: the proof`;
  const verdict =
    summary.notBlocked > 0
      ? `${plural(summary.notBlocked, 'attack')} not blocked`
      : summary.untestable > 0
        ? `all that could be tried was blocked, ${summary.untestable} could not be tried`
        : `all ${plural(summary.blocked, proof.environment?.complete === false ? 'chosen attack' : 'attack')} blocked`;
  const state = summary.notBlocked > 0 ? 'not-blocked' : summary.untestable > 0 ? 'untestable' : 'blocked';
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeHtml(title)}</title>
<style>${style}</style>
</head>
<body>
<header>
<h1>${escapeHtml(release.name)} <small>${escapeHtml(release.version)}</small></h1>
<p class="verdict ${state}">${escapeHtml(verdict)}</p>
<p class="facts">root hash of /usr <code>${escapeHtml(release.rootHash)}</code><br>
${summary.blocked} blocked · ${summary.notBlocked} not blocked · ${summary.untestable} not testable here ·
${escapeHtml(formatDuration(summary.seconds * 1000))} in all${environmentHtml(proof.environment)}</p>
</header>
<main>
${cleanBoot === undefined ? '' : cleanBootHtml(cleanBoot)}
<h2>Attacks</h2>
<table>
<thead><tr><th>attack</th><th>what has to refuse</th><th>result</th><th>control</th><th>time</th></tr></thead>
<tbody>
${checks.map(rowHtml).join('\n')}
</tbody>
</table>
<p class="note">An attack counts as blocked only when every attempt failed and no control failed; a control is the same thing
where it is allowed. Evidence is the kernel's or the firmware's own line where there is one.</p>
</main>
</body>
</html>
`;
}

function cleanBootHtml(boot: NonNullable<ShownProof['cleanBoot']>): string {
  const list = (items: readonly string[], none: string): string =>
    items.length === 0
      ? `<span class="blocked">${none}</span>`
      : `<ul>${items.map((item) => `<li><code>${escapeHtml(item)}</code></li>`).join('')}</ul>`;
  return `<h2>The boot before any attack</h2>
<dl>
<dt>denials (SELinux, IPE)</dt><dd>${list(boot.denials, 'none')}</dd>
<dt>failed units</dt><dd>${list(boot.failedUnits, 'none')}</dd>
<dt>start</dt><dd>${boot.startup.map((line) => escapeHtml(line)).join('<br>')}</dd>
<dt>memory used</dt><dd>${escapeHtml(formatBytes(boot.memoryUsed))}</dd>
${boot.interpreters === undefined ? '' : `<dt>interpreters in /usr</dt><dd>${list(boot.interpreters, 'none')}</dd>`}
${boot.credentials === undefined ? '' : `<dt>credentials taken from outside</dt><dd>${list(boot.credentials, 'none')}</dd>`}
${fact('kernel', boot.kernel)}
${fact('security modules', boot.lsm)}
${fact('lockdown', boot.lockdown)}
${fact('SELinux context of the intruder', boot.context)}
${fact('kernel command line', boot.commandLine)}
</dl>`;
}

function fact(name: string, value: string | undefined): string {
  return value === undefined || value === ''
    ? ''
    : `<dt>${name}</dt><dd><code>${escapeHtml(value)}</code></dd>`;
}

function environmentHtml(environment: ShownProof['environment']): string {
  if (environment === undefined) return '';
  const { accelerator, cpus, memoryMiB, short, complete, started } = environment;
  const kind = [
    short ? 'short proof, without control boots' : 'whole proof',
    ...(complete ? [] : ['chosen attacks only']),
  ].join(', ');
  const machine = `${accelerator.toUpperCase()}, ${plural(cpus, 'processor')}, ${memoryMiB} MiB`;
  return `<br>\n${kind}, ${escapeHtml(started)}; virtual machine: ${escapeHtml(machine)}`;
}

function rowHtml(row: ShownRow): string {
  const details =
    row.details === undefined || row.details.length === 0
      ? ''
      : `<details><summary>what was tried</summary><ol>${row.details.map((one) => `<li>${escapeHtml(one)}</li>`).join('')}</ol></details>`;
  return `<tr class="${row.result}" id="${escapeHtml(row.id)}">
<td><a href="#${escapeHtml(row.id)}"><code>${escapeHtml(row.id)}</code></a></td>
<td>${escapeHtml(row.protection)}<div class="evidence">${escapeHtml(row.evidence)}</div>${details}</td>
<td><span class="${row.result}">${resultWords[row.result]}</span></td>
<td>${controlWords[row.control]}</td>
<td>${escapeHtml(formatDuration(row.seconds * 1000))}</td>
</tr>`;
}

/** Control characters would be invisible in a page, and most are not allowed in one. */
export function escapeHtml(text: string): string {
  return text
    .replaceAll(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, '\ufffd')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

const style = `
:root { color-scheme: light dark; --good: #1a7f37; --bad: #cf222e; --unsure: #9a6700; --line: #d0d7de; --soft: #59636e;
  --back: #ffffff; --fore: #1f2328; --code: #f6f8fa; }
@media (prefers-color-scheme: dark) { :root { --good: #3fb950; --bad: #ff7b72; --unsure: #d29922; --line: #30363d;
  --soft: #9198a1; --back: #0d1117; --fore: #e6edf3; --code: #161b22; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 70rem; padding: 2rem 1rem 4rem; background: var(--back); color: var(--fore);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.9rem; } h1 small { color: var(--soft); font-weight: 400; }
h2 { margin: 2.5rem 0 .75rem; font-size: 1.25rem; }
code, .evidence { font: .875em/1.45 ui-monospace, monospace; overflow-wrap: anywhere; }
.verdict { margin: .5rem 0; font-size: 1.35rem; font-weight: 600; }
.facts, .note, dt { color: var(--soft); } .note { max-width: 45rem; }
.blocked { color: var(--good); } .not-blocked { color: var(--bad); } .untestable { color: var(--unsure); }
tr.blocked, tr.not-blocked, tr.untestable { color: inherit; }
td > span { font-weight: 600; white-space: nowrap; }
table { width: 100%; border-collapse: collapse; }
th { text-align: left; font-weight: 600; color: var(--soft); }
th, td { padding: .55rem .75rem .55rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td:last-child, th:last-child { padding-right: 0; white-space: nowrap; text-align: right; }
td a { color: inherit; text-decoration: none; } td code { white-space: nowrap; }
tr.not-blocked { background: color-mix(in srgb, var(--bad) 9%, transparent); }
tr.not-blocked td:first-child { padding-left: .5rem; } tr.not-blocked td:last-child { padding-right: .5rem; }
.evidence { margin: .3rem 0 0; padding: .3rem .5rem; background: var(--code); border-radius: 4px; }
details { margin-top: .3rem; font-size: .875rem; } summary { cursor: pointer; color: var(--soft); }
details ol { margin: .3rem 0; padding-left: 1.4rem; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.5rem; margin: 0; }
dd { margin: 0; } dd ul { margin: 0; padding-left: 1.2rem; }
@media (max-width: 44rem) { thead { display: none; } tr, td { display: block; } td { border: 0; padding: .15rem 0; }
  tr { padding: .6rem 0; border-bottom: 1px solid var(--line); } td:last-child { text-align: left; }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .6rem; } }
@media print { body { max-width: none; padding: 0; font-size: 11px; } summary, tr.blocked details { display: none; }
  details::details-content { content-visibility: visible; display: block; height: auto; } tr { break-inside: avoid; } }
`;
