import type { Machine } from './machine.ts';
export function thisMachine(_name: string): Machine {
  throw new Error('x');
}
