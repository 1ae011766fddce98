/** The one error of this room. Exit code 3 means: this machine lacks something, and the hint is what mends it. */

import { OsguardError } from '@osguard/events';
import type { OsguardErrorOptions } from '@osguard/events';

export type MachineErrorCode =
  /** A program is not installed, or its version is known not to work. */
  | 'tool-missing'
  /** A program ran and failed. */
  | 'tool-failed'
  /** No firmware image with System Management Mode was found. */
  | 'firmware-missing'
  /** A folder of ours cannot be written. */
  | 'not-writable'
  /** The options contradict themselves or name a file that is not there. */
  | 'bad-option'
  /** QEMU or swtpm ended before the machine was running. */
  | 'start-failed'
  /** The machine stopped while something was still expected from it. */
  | 'machine-stopped'
  /** Something expected did not happen in time. */
  | 'timeout'
  /** QEMU answered a control command with an error. */
  | 'control-failed'
  /** The caller aborted. */
  | 'aborted';

const environmentCodes: ReadonlySet<MachineErrorCode> = new Set([
  'tool-missing',
  'firmware-missing',
  'not-writable',
]);

export class MachineError extends OsguardError<MachineErrorCode> {
  override readonly name: string;

  constructor(code: MachineErrorCode, message: string, options: Omit<OsguardErrorOptions, 'exitCode'> = {}) {
    super(code, message, { ...options, exitCode: environmentCodes.has(code) ? 3 : 2 });
    // The name by which every room recognises an interruption (`isAbort`).
    this.name = code === 'aborted' ? 'AbortError' : 'MachineError';
  }
}
