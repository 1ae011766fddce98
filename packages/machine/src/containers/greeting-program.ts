/** A static x86-64 program that prints one line: small enough for a layer of its own, and one bit changes what it says. */

const base = 0x400000;
const headers = 120;

/** What it prints, line end included. */
export const greeting = 'ran from a signed layer: 0\n';
/** The same with its lowest changeable bit flipped. */
export const changedGreeting: string = greeting.replace('0\n', '1\n');

/** An ELF executable of one read-only, executable segment. */
export function greetingProgram(): Uint8Array {
  const text = Buffer.from(greeting);
  const codeSize = 33;
  const code = Buffer.alloc(codeSize);
  const at = base + headers + codeSize;
  // write(1, text, length); exit(0)
  Buffer.from('bf01000000b801000000be00000000ba000000000f0531ffb83c0000000f05', 'hex').copy(code);
  code.writeUInt32LE(at, 11);
  code.writeUInt32LE(text.length, 16);
  const size = headers + codeSize + text.length;
  const header = Buffer.alloc(headers);
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]).copy(header);
  header.writeUInt16LE(2, 16); // ET_EXEC
  header.writeUInt16LE(62, 18); // EM_X86_64
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(BigInt(base + headers), 24);
  header.writeBigUInt64LE(64n, 32);
  header.writeUInt16LE(64, 52);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(1, 56);
  header.writeUInt32LE(1, 64); // PT_LOAD
  header.writeUInt32LE(5, 68); // readable and executable
  header.writeBigUInt64LE(BigInt(base), 80);
  header.writeBigUInt64LE(BigInt(base), 88);
  header.writeBigUInt64LE(BigInt(size), 96);
  header.writeBigUInt64LE(BigInt(size), 104);
  header.writeBigUInt64LE(0x1000n, 112);
  return Uint8Array.from(Buffer.concat([header, code, text]));
}
