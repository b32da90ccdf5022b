/** @file Items that one side adds and another awaits. */

interface Queue<Item> {
  add: (item: Item) => void;
  /** No item follows. */
  end: () => void;
  /** The reader meets this error behind the items. */
  fail: (error: unknown) => void;
  /** For one reader. */
  items: () => AsyncGenerator<Item, void, undefined>;
}

export function createQueue<Item>(): Queue<Item> {
  const waiting: Item[] = [];
  let ended: { error?: unknown } | undefined;
  let wake = (): void => undefined;
  const finish = (how: { error?: unknown }): void => {
    ended ??= how;
    wake();
  };
  return {
    add: (item) => {
      waiting.push(item);
      wake();
    },
    end: () => finish({}),
    fail: (error) => finish({ error }),
    async *items() {
      for (;;) {
        while (waiting.length > 0) yield waiting.shift() as Item;
        if (ended !== undefined) break;
        await new Promise<void>((resolve) => (wake = resolve));
      }
      if ("error" in ended) throw ended.error;
    },
  };
}
