/** One run of the command: parse, do, print once, say how it went. */

import { CommanderError } from 'commander';
import { isAbort } from '@osguard/events';
import type { Command, CommandEntry } from './command.ts';
import type { Io } from './io.ts';
import { encodeJson } from './json.ts';
import type { GlobalValues } from './program.ts';
import { buildProgram } from './program.ts';
import { paintFor } from './render/paint.ts';
import { reportOf, UsageError } from './report.ts';

export interface RunOptions {
  readonly version: string;
  readonly commands: readonly CommandEntry[];
}

interface Choice {
  readonly command: Command;
  readonly values: Record<string, unknown>;
  readonly globals: GlobalValues;
}

/** Returns the exit status. */
export async function run(given: readonly string[], io: Io, options: RunOptions): Promise<number> {
  // `osguard help keys init` is `osguard keys init --help`.
  const argv = given[0] === 'help' ? [...given.slice(1), '--help'] : given;
  // Before parsing succeeded these are all there is to know how to report a failure.
  let json = argv.includes('--json');
  let debug = argv.includes('--debug');
  try {
    const choice = await parse(argv, io, options);
    if (choice === undefined) return 0;
    ({ json, debug } = choice.globals);
    return await perform(choice, io);
  } catch (error) {
    const report = reportOf(error);
    if (json) {
      io.stdout.write(`${encodeJson({ error: { ...report, ...(debug && { stack: stackOf(error) }) } })}\n`);
    } else {
      const { renderError } = await import('./render/error.ts');
      io.stderr.write(`${renderError(error, report, { paint: paintFor(io, io.stderr), debug })}\n`);
    }
    return report.exitCode;
  }
}

async function parse(
  argv: readonly string[],
  io: Io,
  { version, commands }: RunOptions,
): Promise<Choice | undefined> {
  const entry = named(argv, commands);
  const loaded = entry === undefined ? undefined : { entry, command: await entry.load() };
  const chosen: Omit<Choice, 'command'>[] = [];
  const program = buildProgram(commands, {
    loaded,
    version,
    width: Math.min(io.stdout.columns ?? 100, 110),
    writeOut: (text) => io.stdout.write(text),
    writeErr: () => undefined,
    chosen: (values, globals) => chosen.push({ values, globals }),
  });
  if (argv.length === 0) {
    program.outputHelp();
    return undefined;
  }
  try {
    program.parse(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    throw await usageError(error, { argv, commands });
  }
  const [choice] = chosen;
  if (choice === undefined || loaded === undefined) throw new UsageError('no command', 'osguard --help');
  return { ...choice, command: loaded.command };
}

/** The command the words of the command line name; options may stand anywhere. */
function named(argv: readonly string[], commands: readonly CommandEntry[]): CommandEntry | undefined {
  const words = argv.filter((word) => !word.startsWith('-'));
  return commands.find(({ path }) => path.every((word, index) => words[index] === word));
}

async function usageError(
  error: CommanderError,
  { argv, commands }: { argv: readonly string[]; commands: readonly CommandEntry[] },
): Promise<UsageError> {
  const words = argv.filter((word) => !word.startsWith('-'));
  const [noun = '', verb] = words;
  // commander shows the help of a noun without verb as if it were an error.
  if (error.code === 'commander.help') {
    const begun = commands.filter(({ path }) => words.every((word, index) => path[index] === word));
    const verbs = new Set(begun.map(({ path }) => path[words.length]));
    const said = `osguard ${words.join(' ')}`;
    return new UsageError(`${said} needs a verb: ${[...verbs].join(', ')}`, `${said} --help`);
  }
  const [first = '', ...rest] = error.message.replace(/^error: /, '').split('\n');
  const byCommander = /\(Did you mean (.*)\?\)/.exec(rest.join(' '))?.[1];
  const suggestion = (await similarCommand(noun, commands)) ?? byCommander;
  if (suggestion !== undefined) return new UsageError(first, `did you mean ${suggestion}?`);
  const known = commands.find(({ path }) => path[0] === noun && (path.length === 1 || path[1] === verb));
  const see = known === undefined ? 'osguard --help' : `osguard ${known.path.join(' ')} --help`;
  return new UsageError(first, see);
}

/** For a first word that is no noun; `build` alone is taken for the verb it is. */
async function similarCommand(word: string, commands: readonly CommandEntry[]): Promise<string | undefined> {
  if (word === '' || commands.some(({ path }) => path[0] === word)) return undefined;
  const verb = commands.find(({ path }) => path[1] === word);
  if (verb !== undefined) return `osguard ${verb.path.join(' ')}`;
  const { closestMatch } = await import('leven');
  const nouns = [...new Set(commands.map(({ path: [noun = ''] }) => noun))];
  return closestMatch(word, nouns, { maxDistance: 2 });
}

async function perform({ command, values, globals }: Choice, io: Io): Promise<number> {
  const { renderEvents } = await import('./render/events.ts');
  const target = globals.json ? io.stderr : io.stdout;
  const events = renderEvents(io, { verbose: globals.verbose, target });
  try {
    io.signal.throwIfAborted();
    const context = {
      io,
      signal: io.signal,
      sink: events.sink,
      json: globals.json,
      live: (line: string) => events.print(line),
      paint: paintFor(io, target),
    };
    const outcome = await command.run(values, context);
    events.close();
    const text = globals.json ? encodeJson(outcome.json) : await outcome.text(paintFor(io, io.stdout));
    if (text !== '') io.stdout.write(`${text}\n`);
    return outcome.exitCode ?? 0;
  } catch (error) {
    // What failed while it was being stopped failed because it was being stopped.
    if (io.signal.aborted && !isAbort(error))
      throw new DOMException('interrupted', { name: 'AbortError', cause: error });
    throw error;
  } finally {
    events.close();
  }
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
