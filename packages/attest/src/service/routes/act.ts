/** Who does what an operator's route does, for the log. */

import type { Act } from '../../store/index.ts';
import type { VerifierContext } from '../context.ts';
import type { Call } from './route.ts';

export function actOf({ operator }: Pick<Call, 'operator'>, { now }: VerifierContext): Act {
  return { at: now(), actor: actorOf(operator) };
}

/** Names need not be unique, so the log has the id as well. */
export function actorOf({ name, id }: Call['operator']): string {
  return `${name} (${id})`;
}
