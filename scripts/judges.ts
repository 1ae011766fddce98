/** Makes the tree with the judges this machine does not have itself, or has in versions that are too old. */

import { openTools } from '@osguard/machine';

await openTools({
  sets: ['judges'],
  sink: (event) => {
    if (event.type === 'step' && event.state === 'started') process.stdout.write(`${event.title} …\n`);
  },
});
