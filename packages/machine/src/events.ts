/** What long work in this room tells its caller while it runs. Nothing here prints. */

export type MachineEvent =
  | { readonly type: 'step'; readonly id: string; readonly message: string }
  | {
      readonly type: 'progress';
      readonly id: string;
      readonly done: number;
      readonly total: number;
      readonly unit: string;
    }
  | { readonly type: 'done'; readonly id: string; readonly milliseconds: number }
  | { readonly type: 'warning'; readonly id: string; readonly message: string };

export type MachineSink = (event: MachineEvent) => void;

export const silent: MachineSink = () => undefined;

/** Reports `message` as a step, runs the work, reports how long it took. */
export async function step<T>(
  sink: MachineSink,
  id: string,
  work: { readonly message: string; readonly run: () => Promise<T> },
): Promise<T> {
  const started = performance.now();
  sink({ type: 'step', id, message: work.message });
  const result = await work.run();
  sink({ type: 'done', id, milliseconds: Math.round(performance.now() - started) });
  return result;
}
