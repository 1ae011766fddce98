/** Starts a machine, prints the process ids of its helpers and waits to be killed. */

import { readFileSync } from 'node:fs';

import { openTools, startMachine } from '../../src/index.ts';

const tools = await openTools({ sets: ['run'] });
const machine = await startMachine({ tools }, () => undefined);
const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8');
process.stdout.write(`${JSON.stringify({ pids: children.trim().split(' ').map(Number) })}\n`);
await machine.exited;
