/** The commands as a commander program: parsing, help, suggestions. Nothing here runs a command or prints. */

import { Argument, Command as Commander, InvalidArgumentError, Option } from 'commander';
import type { Command, CommandEntry, Parameter } from './command.ts';

/** Options of every command. */
export interface GlobalValues {
  readonly json: boolean;
  readonly debug: boolean;
  readonly verbose: boolean;
}

export interface ProgramOptions {
  /** The one the person named, with its options and arguments; the others appear in lists only. */
  readonly loaded: { readonly entry: CommandEntry; readonly command: Command } | undefined;
  /** Called with what the person asked for. */
  readonly chosen: (values: Record<string, unknown>, globals: GlobalValues) => void;
  readonly writeOut: (text: string) => void;
  readonly writeErr: (text: string) => void;
  readonly version: string;
  /** Columns of the help. */
  readonly width: number;
}

const nouns: Readonly<Record<string, string>> = {
  keys: 'key roles and their certificates',
  image: 'build, verify and look into images',
  vm: 'boot a release in a virtual machine',
  verity: 'dm-verity hash trees and root hash signatures',
  uki: 'unified kernel images',
  ipe: 'the IPE policy language',
  attest: 'the verifier: nodes prove what they booted',
  'attest releases': 'which releases nodes may run',
  'attest secrets': 'what trusted nodes are given',
  'attest token': "operators' access to the verifier",
};

const footer = `
First steps:
  osguard doctor                                                  what this machine can do
  osguard keys init                                               keys of your own, in ./keys
  osguard image build -f definitions/container-host.yaml -o out   a signed release
  osguard image verify out                                        the whole chain, offline
  osguard prove out                                               boot it, and attack it

Exit status: 0 done or verified · 1 the answer is no · 2 wrong use or bad input
             3 this machine lacks something (the message says how to get it)

Every command takes --json: one JSON document on stdout and nothing else there.
\`osguard help COMMAND\` or \`osguard COMMAND --help\` explains a command with examples.`;

export function buildProgram(commands: readonly CommandEntry[], options: ProgramOptions): Commander {
  const program = new Commander('osguard')
    .description('Builds, boots, proves and verifies a hardened, immutable container host.')
    .version(options.version, '-V, --version', 'print the version')
    .addHelpText('after', footer);
  prepare(program, options);
  program
    .option('--json', 'print the result as one JSON document')
    .option('--debug', 'show where an error came from')
    .option('--verbose', 'also show the lines of tools');
  const groups = new Map<string, Commander>();
  for (const entry of commands) {
    let parent = program;
    for (const [index, word] of entry.path.slice(0, -1).entries()) {
      parent = groupOf(groups, { parent, path: entry.path.slice(0, index), word, options });
    }
    const made = new Commander(entry.path.at(-1)).summary(entry.summary).description(entry.summary);
    prepare(made, options);
    if (options.loaded?.entry === entry) fill(made, { program, command: options.loaded.command, options });
    parent.addCommand(made);
  }
  program.configureHelp({
    ...helpStyle,
    helpWidth: options.width,
    visibleCommands: leavesOf,
  });
  return program;
}

const helpStyle = {
  showGlobalOptions: true,
  subcommandTerm: (command: Commander): string => {
    const names: string[] = [];
    for (let at: Commander = command; at.parent !== null; at = at.parent) names.unshift(at.name());
    return names.join(' ');
  },
};

function leavesOf(command: Commander): Commander[] {
  return command.commands.flatMap((each) => (each.commands.length > 0 ? leavesOf(each) : [each]));
}

function prepare(command: Commander, options: ProgramOptions): void {
  command
    .exitOverride()
    .configureOutput({ writeOut: options.writeOut, writeErr: options.writeErr, outputError: () => undefined })
    .configureHelp({ ...helpStyle, helpWidth: options.width })
    .helpOption('-h, --help', 'explain this command')
    .helpCommand(false)
    .showSuggestionAfterError(true);
}

interface GroupOptions {
  readonly parent: Commander;
  /** The words before. */
  readonly path: readonly string[];
  readonly word: string;
  readonly options: ProgramOptions;
}

function groupOf(groups: Map<string, Commander>, { parent, path, word, options }: GroupOptions): Commander {
  const key = [...path, word].join(' ');
  const known = groups.get(key);
  if (known !== undefined) return known;
  const group = new Commander(word).description(nouns[key] ?? word);
  prepare(group, options);
  groups.set(key, group);
  parent.addCommand(group);
  return group;
}

function fill(
  made: Commander,
  { program, command, options }: { program: Commander; command: Command; options: ProgramOptions },
): void {
  const paragraphs = command.description?.replaceAll(/(?<!\n)\n(?!\n)/g, ' ');
  if (paragraphs !== undefined) made.description(`${made.summary()}\n\n${paragraphs}`);
  for (const parameter of Object.values(command.args)) made.addArgument(argumentOf(parameter));
  const read = new Map<string, () => unknown>();
  for (const [key, parameter] of Object.entries(command.options)) {
    const option = optionOf(parameter);
    const value = (): unknown => made.getOptionValue(option.attributeName());
    // commander has `--no-x` set x to false; here the flag is called what it says.
    read.set(key, option.negate ? () => value() === false : value);
    made.addOption(option);
  }
  made.addHelpText('after', examplesOf(command));
  made.action(() => {
    const values: Record<string, unknown> = {};
    for (const [key, value] of read) values[key] = value();
    for (const [index, key] of Object.keys(command.args).entries()) values[key] = made.processedArgs[index];
    const globals = program.opts<Partial<GlobalValues>>();
    options.chosen(values, {
      json: globals.json === true,
      debug: globals.debug === true,
      verbose: globals.verbose === true,
    });
  });
}

function optionOf(parameter: Parameter<unknown>): Option {
  const option = new Option(parameter.flags, parameter.help);
  if (parameter.choices !== undefined) option.choices(parameter.choices);
  if (parameter.required) option.makeOptionMandatory();
  if (parameter.kind === 'list') {
    option
      .default([], 'none')
      .argParser((input: string, before: readonly unknown[]) => [...before, converted(parameter, input)]);
  } else if (parameter.kind === 'value' && parameter.choices === undefined) {
    option.argParser((input: string) => converted(parameter, input));
  }
  if (parameter.kind === 'value' && parameter.fallback !== undefined) option.default(parameter.fallback);
  if (parameter.kind === 'flag' && !option.negate) option.default(false, 'off');
  return option;
}

function argumentOf(parameter: Parameter<unknown>): Argument {
  const argument = new Argument(parameter.flags, parameter.help);
  if (parameter.choices !== undefined) argument.choices(parameter.choices);
  else if (parameter.kind === 'value') argument.argParser((input: string) => converted(parameter, input));
  if (parameter.fallback !== undefined && parameter.kind === 'value') argument.default(parameter.fallback);
  return argument;
}

function converted(parameter: Parameter<unknown>, input: string): unknown {
  try {
    return parameter.parse(input);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}

function examplesOf({ examples }: Command): string {
  if (examples.length === 0) return '';
  const lines = examples.map(({ line, does }) => `  # ${does}\n  $ ${line}`);
  return `\n${examples.length === 1 ? 'Example' : 'Examples'}:\n${lines.join('\n\n')}`;
}
