/** Static x86-64 programs of one segment: small enough for a layer of their own, and one bit changes what the first says. */

const base = 0x400000;
const headers = 120;

/** What it prints, line end included. */
export const greeting = 'ran from a signed layer: 0\n';
/** The same with its lowest changeable bit flipped. */
export const changedGreeting: string = greeting.replace('0\n', '1\n');

/** Prints {@link greeting} and ends with status 0. */
export function greetingProgram(): Uint8Array {
  const text = Buffer.from(greeting);
  // write(1, text, length); exit(0)
  const code = Buffer.from('bf01000000b801000000be00000000ba000000000f0531ffb83c0000000f05', 'hex');
  code.writeUInt32LE(base + headers + code.length, 11);
  code.writeUInt32LE(text.length, 16);
  return executable(Buffer.concat([code, text]));
}

/** Something for a container to do: waits until it is told to end (SIGTERM, which a first process ignores unless it handles it). */
export function waitingProgram(): Uint8Array {
  const code = [
    // rt_sigaction(SIGTERM, {end, SA_RESTORER, end, 0}, NULL, 8)
    '4883ec20 488d053b000000 48890424 48c744240800000004 4889442410 48c744241800000000',
    'bf0f000000 4889e6 31d2 41ba08000000 b80d000000 0f05',
    // pause(), again and again
    'b822000000 0f05 ebf7',
    // end: exit(0)
    '31ff b83c000000 0f05',
  ];
  return executable(Buffer.from(code.join('').replaceAll(' ', ''), 'hex'));
}

/** Whole blocks, so that the program shares none with the names and attributes of files. */
const fileSize = 8192;

function executable(body: Uint8Array): Uint8Array {
  const size = headers + body.length;
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
  return Uint8Array.from(Buffer.concat([header, body], fileSize));
}
