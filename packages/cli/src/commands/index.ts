/** Every command there is, in the order of the help. A command is listed when its room can do what it says. */

import type { Command } from '../command.ts';
import { doctor } from './doctor.ts';
import { imageSchema } from './image-schema.ts';
import { ipeCheck } from './ipe-check.ts';
import { ipeExplain } from './ipe-explain.ts';
import { ipeSign } from './ipe-sign.ts';
import { keysInit } from './keys-init.ts';
import { keysShow } from './keys-show.ts';
import { ukiBuild } from './uki-build.ts';
import { ukiInspect } from './uki-inspect.ts';
import { verityFormat } from './verity-format.ts';
import { veritySign } from './verity-sign.ts';
import { verityVerify } from './verity-verify.ts';

export const commands: readonly Command[] = [
  keysInit,
  keysShow,
  imageSchema,
  verityFormat,
  verityVerify,
  veritySign,
  ukiBuild,
  ukiInspect,
  ipeCheck,
  ipeSign,
  ipeExplain,
  doctor,
];
