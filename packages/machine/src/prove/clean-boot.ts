/** What the host reports of itself before anything is attacked. */

import { isRecord } from '../json.ts';

export interface CleanBoot {
  /** SELinux and IPE denials before any attack. */
  readonly denials: readonly string[];
  readonly failedUnits: readonly string[];
  /** Lines of systemd-analyze. */
  readonly startup: readonly string[];
  /** Bytes. */
  readonly memoryUsed: number;
  /** General interpreters found in /usr. */
  readonly interpreters: readonly string[];
  /** Credentials PID 1 took from outside. */
  readonly credentials: readonly string[];
  readonly commandLine: string;
  /** SELinux context of the intruder. */
  readonly context: string;
  readonly lockdown: string;
  readonly lsm: string;
  readonly kernel: string;
}

/** The text comes from the guest; undefined when it is not what the agent writes. */
export function parseCleanBoot(text: string): CleanBoot | undefined {
  let facts: unknown;
  try {
    facts = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(facts)) return undefined;
  const list = (name: string): readonly string[] => {
    const value = facts[name];
    return Array.isArray(value) ? value.map(String) : [];
  };
  const word = (name: string): string => (typeof facts[name] === 'string' ? facts[name] : '');
  const { memoryUsed } = facts;
  return {
    denials: list('denials'),
    failedUnits: list('failed'),
    startup: list('startup'),
    memoryUsed: typeof memoryUsed === 'number' && Number.isFinite(memoryUsed) ? memoryUsed : 0,
    interpreters: list('interpreters'),
    credentials: list('credentials'),
    commandLine: word('commandLine'),
    context: word('context'),
    lockdown: word('lockdown'),
    lsm: word('lsm'),
    kernel: word('kernel'),
  };
}
