/** The one error of this room. `environment` means: this machine lacks something, and the hint is what mends it. */

export type MachineErrorCode =
  /** A program is not installed, or its version is known not to work. */
  | 'tool-missing'
  /** A program ran and failed. */
  | 'tool-failed'
  /** No package mirror could be read from the machine's own apt configuration. */
  | 'mirror-not-found'
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

export interface MachineErrorOptions {
  /** What to do about it: a command to run, or an option to give. */
  readonly hint?: string;
  readonly cause?: unknown;
  /** Facts for a machine reader, such as the last lines a program printed. */
  readonly data?: Readonly<Record<string, unknown>>;
}

const environmentCodes: ReadonlySet<MachineErrorCode> = new Set([
  'tool-missing',
  'mirror-not-found',
  'firmware-missing',
  'not-writable',
]);

export class MachineError extends Error {
  override readonly name = 'MachineError';
  readonly code: MachineErrorCode;
  readonly hint: string | undefined;
  readonly data: Readonly<Record<string, unknown>>;

  constructor(code: MachineErrorCode, message: string, options: MachineErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.data = options.data ?? {};
  }

  /** True when the machine osguard runs on is missing something (exit status 3 of the command). */
  get environment(): boolean {
    return environmentCodes.has(this.code);
  }
}
