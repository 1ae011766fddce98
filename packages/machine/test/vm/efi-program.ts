/** Tiny UEFI applications (x86-64, UEFI 2.10 section 2.3.4) made of bytes, for asking the firmware questions. */

import { encodeGuid, fromHex } from '@osguard/formats/bytes';

/** Writes one line of printable ASCII to the console and stays there. */
export function printingProgram(line: string): Uint8Array<ArrayBuffer> {
  return peFile([
    '48 83 ec 28', // sub rsp, 0x28
    '48 8b 4a 40', // mov rcx, [rdx+0x40]: SystemTable.ConOut
    ['48 8d 15', utf16(`\r\n${line}\r\n`)], // lea rdx, line
    'ff 51 08', // call [rcx+8]: OutputString
    'eb fe', // jmp $
  ]);
}

export interface VariableToSet {
  readonly name: string;
  readonly vendor: string;
  readonly attributes: number;
  readonly data: Uint8Array;
}

/**
 * Calls SetVariable. When that ends as `expected`, the program fails, so that the firmware boots what comes next;
 * else it writes `otherwise` and stays there. (What a busy console loses must not look like an answer.)
 */
export function settingProgram(
  variable: VariableToSet,
  { expected, otherwise }: { readonly expected: 'accepted' | 'refused'; readonly otherwise: string },
): Uint8Array<ArrayBuffer> {
  const { name, vendor, attributes, data } = variable;
  return peFile([
    '53', // push rbx
    '48 83 ec 30', // sub rsp, 0x30
    '48 89 d3', // mov rbx, rdx: SystemTable
    '48 8b 43 58', // mov rax, [rbx+0x58]: RuntimeServices
    ['48 8d 0d', utf16(name)], // lea rcx, name
    ['48 8d 15', encodeGuid(vendor)], // lea rdx, vendor
    `41 b8 ${u32(attributes)}`, // mov r8d, attributes
    `41 b9 ${u32(data.length)}`, // mov r9d, size
    ['4c 8d 15', data], // lea r10, data
    '4c 89 54 24 20', // mov [rsp+0x20], r10
    'ff 50 58', // call [rax+0x58]: SetVariable
    '48 85 c0', // test rax, rax
    expected === 'accepted' ? '74 10' : '75 10', // jz or jnz over the next four
    ['48 8d 15', utf16(`\r\n${otherwise}\r\n`)], // lea rdx, otherwise
    '48 8b 4b 40', // mov rcx, [rbx+0x40]: ConOut
    'ff 51 08', // call [rcx+8]: OutputString
    'eb fe', // jmp $
    '48 b8 0e 00 00 00 00 00 00 80', // mov rax, EFI_NOT_FOUND
    '48 83 c4 30', // add rsp, 0x30
    '5b c3', // pop rbx; ret
  ]);
}

/** An instruction in hex, or one that ends in the rip-relative address (4 bytes) of the data beside it. */
type Instruction = string | readonly [string, Uint8Array];

const fileHeader = 512;
const imageBase = 0x1000;

function assemble(program: readonly Instruction[]): Uint8Array {
  const parts = program.map((each) => {
    const [code, data] = typeof each === 'string' ? [each, undefined] : each;
    return { code: fromHex(code.replaceAll(' ', '')), data };
  });
  const size = parts.reduce((sum, { code, data }) => sum + code.length + (data === undefined ? 0 : 4), 0);
  const bytes: number[] = [];
  const behind: number[] = [];
  for (const { code, data } of parts) {
    bytes.push(...code);
    if (data === undefined) continue;
    while ((size + behind.length) % 8 !== 0) behind.push(0);
    bytes.push(...fromHex(u32(size + behind.length - (bytes.length + 4))));
    behind.push(...data);
  }
  return Uint8Array.from([...bytes, ...behind]);
}

/** PE32+ with one section, no relocations. */
function peFile(program: readonly Instruction[]): Uint8Array<ArrayBuffer> {
  const code = assemble(program);
  const rawSize = Math.ceil(code.length / 512) * 512;
  const bytes = new Uint8Array(fileHeader + rawSize);
  const view = new DataView(bytes.buffer);
  const put16 = (at: number, value: number): void => view.setUint16(at, value, true);
  const put32 = (at: number, value: number): void => view.setUint32(at, value, true);
  put16(0, 0x5a4d);
  put32(0x3c, 0x80);
  put32(0x80, 0x4550);
  put16(0x84, 0x8664);
  put16(0x86, 1);
  put16(0x94, 240);
  put16(0x96, 0x22);
  const optional = 0x98;
  put16(optional, 0x20b);
  put32(optional + 4, rawSize);
  put32(optional + 16, imageBase);
  put32(optional + 20, imageBase);
  put32(optional + 32, 0x1000);
  put32(optional + 36, 512);
  put32(optional + 56, imageBase + Math.ceil(rawSize / 0x1000) * 0x1000);
  put32(optional + 60, fileHeader);
  // Subsystem: EFI application.
  put16(optional + 68, 10);
  put32(optional + 108, 16);
  const section = optional + 240;
  bytes.set(Buffer.from('.text', 'ascii'), section);
  put32(section + 8, code.length);
  put32(section + 12, imageBase);
  put32(section + 16, rawSize);
  put32(section + 20, fileHeader);
  put32(section + 36, 0x6000_0020);
  bytes.set(code, fileHeader);
  return bytes;
}

function utf16(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(`${text}\0`, 'utf16le'));
}

/** Little-endian, as hex. */
function u32(value: number): string {
  return [0, 8, 16, 24].map((shift) => ((value >>> shift) & 0xff).toString(16).padStart(2, '0')).join('');
}
