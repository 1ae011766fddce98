/** What the kernel would answer to a policy it cannot parse. */

import type { TextRange } from '@osguard/events';
import { FormatError } from '../bytes/index.ts';

/** EBADMSG: not a policy; EINVAL: a version part or digest is no number; ERANGE: a version part is above 65535. */
export type IpeErrno = 'EBADMSG' | 'EINVAL' | 'ERANGE';

export interface IpeSyntaxErrorOptions {
  readonly errno?: IpeErrno;
  readonly hint?: string;
}

export class IpeSyntaxError extends FormatError {
  /** The error the kernel returns when this policy is written to `new_policy` or `update`. */
  readonly errno: IpeErrno;
  readonly range: TextRange;
  /** The message without the place. */
  readonly detail: string;

  constructor(message: string, range: TextRange, options: IpeSyntaxErrorOptions = {}) {
    super('malformed', `line ${range.start.line}, column ${range.start.column}: ${message}`, {
      offset: range.start.offset,
      ...(options.hint !== undefined && { hint: options.hint }),
    });
    this.errno = options.errno ?? 'EBADMSG';
    this.range = range;
    this.detail = message;
  }
}
