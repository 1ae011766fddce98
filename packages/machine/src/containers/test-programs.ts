/**
 * Static x86-64 programs that each do one thing an enforcing host has an opinion about, and then print the greeting. Hand
 * written machine code, so that no compiler is needed and nothing else is in them (System V ABI, AMD64; ELF-64).
 */

import { greeting } from './greeting-program.ts';

export interface ProgramOptions {
  /** Flags of PT_GNU_STACK; 6 (readable, writable) unless given. */
  readonly stack?: 6 | 7;
  /** The program may write to its own code. */
  readonly writableText?: boolean;
  /** PT_INTERP. */
  readonly interpreter?: string;
  /** e_machine; x86-64 unless given. */
  readonly machine?: number;
  /** Text that lies in it and is never used. */
  readonly text?: string;
}

const base = 0x400000;
/** Whole blocks, so that a program shares none with another file. */
const fileSize = 8192;
const loadType = 1;
const interpreterType = 3;
const stackType = 0x6474e551;

/** exit(1) */
const giveUp = 'bf01000000 b83c000000 0f05';
export type ProgramBody = 'greet' | 'makesCode' | 'runsStack' | 'changesItself' | 'runsCopyInMemory';

/** What comes before the greeting. */
const bodies: Readonly<Record<ProgramBody, string>> = {
  /** Nothing. */
  greet: '',
  /** mmap of anonymous memory that may be executed, a `ret` written to it, called. */
  makesCode: `31ff be00100000 ba07000000 41ba22000000 41b8ffffffff 4531c9 b809000000 0f05 4885c0 790c ${giveUp} c600c3 ffd0`,
  /** A `ret` written to the stack, called. */
  runsStack: '4883ec08 c60424c3 488d0424 ffd0',
  /** The byte after the instruction, a breakpoint, becomes a `nop`. */
  changesItself: 'c6050000000090 cc',
  /** memfd_create, a copy of itself written to it, execveat; the copy has two arguments and greets. */
  runsCopyInMemory: `48833c2402 7452 6a00 4889e7 4989fd 31f6 b83f010000 0f05 4989c4 89c7 be00004000 ba${littleEndian(fileSize)} b801000000 0f05 6a00 4155 4155 4889e2 4489e7 4c89ee 4531d2 41b800100000 b842010000 0f05 ${giveUp}`,
};

/** @returns an executable file of {@link fileSize} bytes. */
export function testProgram(body: ProgramBody, options: ProgramOptions = {}): Uint8Array {
  const { stack = 6, writableText = false, interpreter, machine = 62, text = '' } = options;
  const count = interpreter === undefined ? 2 : 3;
  const start = 64 + 56 * count;
  const code = Buffer.concat([Buffer.from(bodies[body].replaceAll(' ', ''), 'hex'), greet()]);
  const rest = Buffer.from(`${interpreter ?? ''}\0${text}\0`, 'latin1');
  const headers = [
    programHeader({ type: loadType, flags: writableText ? 7 : 5, offset: 0, size: fileSize }),
    programHeader({ type: stackType, flags: stack, offset: 0, size: 0 }),
    ...(interpreter === undefined
      ? []
      : [
          programHeader({
            type: interpreterType,
            flags: 4,
            offset: start + code.length,
            size: interpreter.length + 1,
          }),
        ]),
  ];
  const head = elfHeader({ machine, entry: base + start, count });
  return Uint8Array.from(Buffer.concat([head, ...headers, code, rest], fileSize));
}

/** write(1, greeting), exit(0), the greeting. */
function greet(): Uint8Array {
  const said = Buffer.from(greeting);
  const length = littleEndian(said.length);
  // The distance counts from the instruction after lea.
  const distance = littleEndian(5 + 2 + 2 + 5 + 2);
  const code = `bf01000000 b801000000 488d35${distance} ba${length} 0f05 31ff b83c000000 0f05`;
  return Buffer.concat([Buffer.from(code.replaceAll(' ', ''), 'hex'), said]);
}

function littleEndian(value: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes.toString('hex');
}

function elfHeader({
  machine,
  entry,
  count,
}: Readonly<Record<'machine' | 'entry' | 'count', number>>): Buffer {
  const header = Buffer.alloc(64);
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]).copy(header);
  header.writeUInt16LE(2, 16); // ET_EXEC
  header.writeUInt16LE(machine, 18);
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(BigInt(entry), 24);
  header.writeBigUInt64LE(64n, 32);
  header.writeUInt16LE(64, 52);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(count, 56);
  return header;
}

function programHeader({
  type,
  flags,
  offset,
  size,
}: Readonly<Record<'type' | 'flags' | 'offset' | 'size', number>>): Buffer {
  const header = Buffer.alloc(56);
  header.writeUInt32LE(type, 0);
  header.writeUInt32LE(flags, 4);
  header.writeBigUInt64LE(BigInt(offset), 8);
  header.writeBigUInt64LE(BigInt(base + offset), 16);
  header.writeBigUInt64LE(BigInt(base + offset), 24);
  header.writeBigUInt64LE(BigInt(size), 32);
  header.writeBigUInt64LE(BigInt(size), 40);
  header.writeBigUInt64LE(0x1000n, 48);
  return header;
}
