/** The events of the machine room as those every renderer knows. */

import type { EventSink, ProgressUnit } from '@osguard/events';
import type { MachineSink } from '@osguard/machine';

const units: ReadonlySet<string> = new Set<ProgressUnit>(['bytes', 'blocks', 'files', 'packages', 'checks']);

export function machineSink(sink: EventSink): MachineSink {
  const titles = new Map<string, string>();
  return (event) => {
    switch (event.type) {
      case 'step':
        titles.set(event.id, event.message);
        sink({ type: 'step', state: 'started', id: event.id, title: event.message });
        return;
      case 'done': {
        const title = titles.get(event.id) ?? event.id;
        sink({ type: 'step', state: 'done', id: event.id, title, milliseconds: event.milliseconds });
        return;
      }
      case 'progress':
        if (isUnit(event.unit)) sink({ ...event, unit: event.unit });
        return;
      default:
        sink({ type: 'warning', code: event.id, message: event.message });
    }
  };
}

function isUnit(text: string): text is ProgressUnit {
  return units.has(text);
}
