/** Who still asks for a program that is not in the image: `#!` lines, units, and udev rules. */

import { BodyReader, bodySize } from '../tree/index.ts';
import type { RootNode, RootTree } from '../tree/index.ts';

export interface BrokenReference {
  readonly kind: 'script' | 'unit' | 'udev-rule';
  /** Path of the script, unit or rule, without leading slash. */
  readonly where: string;
  /** From 1. */
  readonly line: number;
  /** Absolute path of the missing program. */
  readonly needs: string;
}

export interface FindBrokenOptions {
  /** Units and rules too; true unless told otherwise. */
  readonly units?: boolean;
}

/** Bytes of a script that are looked at: the kernel reads 256. */
const shebangLength = 256;
const largestText = 1024 * 1024;

export function findBroken(tree: RootTree, { units = true }: FindBrokenOptions = {}): BrokenReference[] {
  using bodies = new BodyReader();
  const broken: BrokenReference[] = [];
  const head = Buffer.alloc(shebangLength);
  const missing = (program: string): boolean => tree.lookup(program.slice(1)) === undefined;
  for (const { path, node } of tree.walk()) {
    if (node.type !== 'file') continue;
    if ((node.mode & 0o111) !== 0) {
      const needs = shebang(head.subarray(0, bodies.readAt(node, head, 0)));
      if (needs !== undefined && missing(needs)) broken.push({ kind: 'script', where: path, line: 1, needs });
    } else if (units && bodySize(node) <= largestText) {
      const text = textOf(path, node, bodies);
      if (text === undefined) continue;
      for (const { line, program } of text.programs) {
        if (missing(program)) broken.push({ kind: text.kind, where: path, line, needs: program });
      }
    }
  }
  return broken;
}

/** The program a `#!` line runs; behind `env` the program it would look for. */
function shebang(head: Buffer): string | undefined {
  if (head.length < 3 || head[0] !== 0x23 || head[1] !== 0x21) return undefined;
  const line = head.toString('latin1', 2).split('\n', 1)[0] ?? '';
  const [program = '', argument = ''] = line.trim().split(/[ \t]+/);
  if (!program.startsWith('/')) return undefined;
  return program.endsWith('/env') && /^\w/.test(argument) ? `/usr/bin/${argument}` : program;
}

interface Programs {
  readonly kind: 'unit' | 'udev-rule';
  readonly programs: readonly { readonly line: number; readonly program: string }[];
}

function textOf(path: string, node: RootNode, bodies: BodyReader): Programs | undefined {
  if (/^(?:etc|usr\/lib)\/systemd\/(?:system|user)\/.+\.(?:service|socket|mount|swap|conf)$/.test(path)) {
    return { kind: 'unit', programs: unitPrograms(bodies.text(node)) };
  }
  if (/^(?:etc|usr\/lib)\/udev\/rules\.d\/[^/]+\.rules$/.test(path)) {
    return { kind: 'udev-rule', programs: rulePrograms(bodies.text(node)) };
  }
  return undefined;
}

/** systemd.service(5): prefixes `@-:+!|`, then the absolute path. Bare names are looked up by systemd at run time. */
function unitPrograms(text: string): Programs['programs'] {
  return text.split('\n').flatMap((line, index) => {
    const program = /^\s*Exec\w+\s*=\s*[@:+!|]*(-?)[@:+!|]*(\/[^\s;"']+)/.exec(line);
    // A leading `-` says that failing is fine.
    if (program === null || program[1] === '-' || program[2]?.includes('%') === true) return [];
    return [{ line: index + 1, program: program[2] ?? '' }];
  });
}

/** udev(7): RUN, PROGRAM and IMPORT{program}; names without a path lie in /usr/lib/udev. */
function rulePrograms(text: string): Programs['programs'] {
  return text.split('\n').flatMap((line, index) => {
    if (/^\s*#/.test(line)) return [];
    return [...line.matchAll(/(?:RUN(?:\{program\})?\+?=|PROGRAM==?|IMPORT\{program\}=)"([^\s"$%]+)/g)].map(
      ([, name = '']) => ({
        line: index + 1,
        program: name.startsWith('/') ? name : `/usr/lib/udev/${name}`,
      }),
    );
  });
}
