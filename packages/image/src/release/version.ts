/** Which osguard this is, for what it writes about itself. */

import manifest from '../../package.json' with { type: 'json' };

export const version: string = manifest.version;
