/** The one file that configures the node; it lies in signed /usr. */

import { readFileSync } from 'node:fs';
import type { NodeConfiguration } from '@osguard/formats/node-configuration';
import { parseNodeConfiguration } from '@osguard/formats/node-configuration';
import { NodeError } from './error.ts';

const path = '/usr/lib/osguard/node.json';

/** @throws NodeError `configuration` */
export function readNodeConfiguration(): NodeConfiguration {
  try {
    return parseNodeConfiguration(readFileSync(path, 'utf8'));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new NodeError('configuration', `${path} cannot be used: ${why}`, { cause });
  }
}
