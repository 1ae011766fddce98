/** A thread that hashes the slots of a ring until it is closed. */

import { workerData } from 'node:worker_threads';
import type { SlotRing } from './slots.ts';
import { SlotAccess } from './slots.ts';

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- sent by tree-builder.ts and nobody else
new SlotAccess(workerData as SlotRing).serve();
