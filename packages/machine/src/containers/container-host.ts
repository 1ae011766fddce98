/** containerd of the host, as an administrator uses it: with `ctr`, asked through the line to the intruder. */

import type { Intruder } from '../prove/intruder.ts';
import { MachineError } from '../error.ts';

export interface Outcome {
  /** Whether the program ended with status 0. */
  readonly ok: boolean;
  /** Output, errors included, without the progress of a download. */
  readonly output: string;
  /** Lines of the kernel log that came meanwhile. */
  readonly kernel: readonly string[];
  readonly seconds: number;
}

export interface RunOptions {
  /** More arguments of `ctr run`. */
  readonly flags?: readonly string[];
  /** What runs instead of the image's own command. */
  readonly command?: readonly string[];
}

const ctr = '/usr/bin/ctr';

export class ContainerHost {
  readonly #intruder: Pick<Intruder, 'ask'>;
  #next = 1;

  constructor(intruder: Pick<Intruder, 'ask'>) {
    this.#intruder = intruder;
  }

  /** A program of the host. */
  async program(argv: readonly string[]): Promise<Outcome> {
    return this.ask('run-program', { argv });
  }

  async ctr(...args: readonly string[]): Promise<Outcome> {
    return this.program([ctr, ...args]);
  }

  /** A container that is gone again afterwards. */
  async run(reference: string, { flags = [], command = [] }: RunOptions = {}): Promise<Outcome> {
    return this.program(this.runArguments(reference, { flags, command }));
  }

  /** The command line of {@link run}, under a name of its own. */
  runArguments(reference: string, { flags = [], command = [] }: RunOptions = {}): readonly string[] {
    const name = `proof-${this.#next}`;
    this.#next += 1;
    return [ctr, 'run', '--snapshotter', 'osguard', '--rm', ...flags, reference, name, ...command];
  }

  /** Several programs of the host at the same time, each after so many seconds. */
  async together(
    programs: readonly { readonly argv: readonly string[]; readonly after?: number }[],
  ): Promise<readonly Outcome[]> {
    const seen = await this.#intruder.ask('run-together', { args: { programs } });
    const { kernel, seconds } = seen;
    return seen.attempts.map(({ succeeded, detail }) => ({ ok: succeeded, output: detail, kernel, seconds }));
  }

  /** Names in a folder of the host; none when it is not there. */
  async list(path: string): Promise<readonly string[]> {
    const { output } = await this.must(this.ask('list-folder', { path }), path);
    return output
      .split('\n')
      .slice(1)
      .filter((name) => name !== '');
  }

  /** One request the agent answers with one attempt. */
  async ask(attack: string, args: Readonly<Record<string, unknown>>): Promise<Outcome> {
    const { attempts, kernel, seconds } = await this.#intruder.ask(attack, { args });
    const [attempt] = attempts;
    if (attempt === undefined) throw new MachineError('control-failed', `${attack}: no answer`);
    return { ok: attempt.succeeded, output: attempt.detail, kernel, seconds };
  }

  /** @throws MachineError (`control-failed`) when it fails: nothing can be shown then. */
  async must(outcome: Promise<Outcome>, what: string): Promise<Outcome> {
    const seen = await outcome;
    if (seen.ok) return seen;
    throw new MachineError('control-failed', `${what}: ${lastLine(seen.output)}`);
  }
}

/** What ctr says in the end, without its own name and the agent's word for any failure. */
export function lastLine(output: string): string {
  const lines = output
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/^\(status \d+\)$/.test(line));
  const said = lines.findLast((line) => line.startsWith('ctr: ')) ?? lines.at(-1) ?? '';
  return said.replace(/^(?:ctr: |EPERM: )+/, '');
}
