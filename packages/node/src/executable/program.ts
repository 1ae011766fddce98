/**
 * Node's own binary, told to run one embedded application and nothing else (Node documentation, "Single executable
 * applications").
 *
 * Node looks at a fuse to know that there is an application, and finds it as an ELF note. Its start-up, before the
 * application's first line, reads environment variables by name: one of them names a folder of compiled code that it
 * would run in place of the application's (NODE_COMPILE_CACHE), others choose certificates, OpenSSL modules and files
 * to write. Emptying the names in the binary closes all of them: getenv(3) of an empty name finds nothing.
 */

import { NodeError } from '../error.ts';
import { embedNote } from './elf.ts';
import { trimIcuData } from './icu-data.ts';

const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';
const noteName = 'NODE_SEA_BLOB';

/** Read by native code; each must be found, so that a new version of Node that renames one does not pass unnoticed. */
export const sealedVariables: readonly string[] = [
  'NODE_OPTIONS',
  'NODE_COMPILE_CACHE',
  'NODE_V8_COVERAGE',
  'NODE_EXTRA_CA_CERTS',
  'NODE_ICU_DATA',
  'NODE_DEBUG_NATIVE',
  'NODE_TLS_REJECT_UNAUTHORIZED',
  'NODE_REDIRECT_WARNINGS',
  'NODE_REPL_EXTERNAL_MODULE',
  'OPENSSL_CONF',
  'OPENSSL_CONF_INCLUDE',
  'OPENSSL_ENGINES',
  'OPENSSL_MODULES',
  'SSL_CERT_DIR',
  'SSL_CERT_FILE',
];

/** @throws NodeError `node-binary` when `node` is not a binary of the kind expected */
export function embedApplication(node: Uint8Array, blob: Uint8Array): Uint8Array {
  const whole = Buffer.from(Uint8Array.from(node).buffer);
  const room = trimIcuData(whole);
  const program = Buffer.from(embedNote(whole, { name: noteName, data: blob, room }).buffer);
  const at = program.indexOf(`${fuse}:0`);
  if (at < 0 || program.indexOf(`${fuse}:`, at + 1) >= 0)
    throw new NodeError('node-binary', 'the Node binary does not have exactly one unused application fuse');
  program[at + fuse.length + 1] = 0x31;
  for (const name of sealedVariables) sealVariable(program, name);
  return program;
}

function sealVariable(program: Buffer, name: string): void {
  const text = `\0${name}\0`;
  let at = program.indexOf(text, 0, 'latin1');
  if (at < 0) {
    throw new NodeError('node-binary', `the Node binary does not name the environment variable ${name}`, {
      hint: 'see how this version of Node reads it, and change sealedVariables',
    });
  }
  for (; at >= 0; at = program.indexOf(text, at + 1, 'latin1')) program[at + 1] = 0;
}
