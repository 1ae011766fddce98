/** Many small requests at once, for registries that are far away. */

/** Registries slow down or refuse clients that ask for more. */
const atOnce = 8;

/** Results in the order of the items. The first failure ends it: nothing new is begun. */
export async function inParallel<Item, Result>(
  items: Iterable<Item>,
  work: (item: Item) => Promise<Result>,
): Promise<readonly Result[]> {
  const queue = [...items].entries();
  const results: Result[] = [];
  let failed = false;
  const worker = async (): Promise<void> => {
    for (const [index, item] of queue) {
      if (failed) return;
      try {
        results[index] = await work(item);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return results;
}
