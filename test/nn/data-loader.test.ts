import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { DataLoader, type LoaderOptions, type Position } from "../../nn/index.ts";

type Options = LoaderOptions<number, number[]>;

const range = (length: number): number[] => Array.from({ length }, (_, i) => i);

async function listOf<B>(loader: DataLoader<number, B>): Promise<B[]> {
  const list: B[] = [];
  for await (const batch of loader) list.push(batch);
  return list;
}

/** Batches of the next epochs, one list per epoch. */
async function epochs(loader: DataLoader<number>, count: number): Promise<number[][][]> {
  const all: number[][][] = [];
  for (let i = 0; i < count; i++) all.push(await listOf(loader));
  return all;
}

const sizes = {
  length: fc.integer({ min: 1, max: 23 }),
  batchSize: fc.integer({ min: 1, max: 7 }),
  seed: fc.option(fc.integer({ min: 0, max: 2 ** 40 }), { nil: undefined }),
  prefetch: fc.integer({ min: 0, max: 4 }),
  dropLast: fc.boolean(),
};
/** The same set in each form that a loader takes. */
const forms = {
  array: range,
  "numbered, read later": (length: number) => ({ length, at: async (i: number) => i }),
  "to loop over": (length: number) => new Set(range(length)),
  "to loop over, read later": (length: number) => ({
    async *[Symbol.asyncIterator]() {
      yield* range(length);
    },
  }),
};
type Form = keyof typeof forms;

describe("DataLoader", () => {
  test.prop([fc.record(sizes), fc.constantFrom(...(Object.keys(forms) as Form[]))])(
    "gives each example once per epoch, in full batches but for the last",
    async ({ length, seed, ...options }, form) => {
      const canShuffle = !form.startsWith("to loop");
      const given: Options = { ...options, ...(canShuffle && seed !== undefined && { seed }) };
      const { batchSize, dropLast } = options;
      const loader = new DataLoader(forms[form](length), given);
      const kept = dropLast ? length - (length % batchSize) : length;
      for (const batches of await epochs(loader, 3)) {
        expect(batches.slice(0, -1).every((batch) => batch.length === batchSize)).toBe(true);
        expect(batches.at(-1)?.length ?? 0).toBe(kept === 0 ? 0 : kept % batchSize || batchSize);
        const seen = batches.flat();
        if (given.seed === undefined) expect(seen).toEqual(range(kept));
        else {
          expect(new Set(seen).size).toBe(kept);
          expect(seen.every((i) => i >= 0 && i < length)).toBe(true);
        }
      }
    },
  );

  test.prop([fc.record(sizes), fc.nat(20), fc.constantFrom(...(Object.keys(forms) as Form[]))])(
    "goes on from its position as if it had never stopped, whatever was made ahead",
    async ({ length, seed, ...options }, stop, form) => {
      const given = { ...options, ...(!form.startsWith("to loop") && seed !== undefined && { seed }) };
      const whole = (await epochs(new DataLoader(forms[form](length), given), 3)).flat();
      const first = new DataLoader(forms[form](length), given);
      const before: number[][] = [];
      for (let epoch = 0; epoch < 3 && before.length < stop; epoch++)
        for await (const batch of first) if (before.push(batch) >= stop) break;
      const position = JSON.parse(JSON.stringify(first.position)) as Position;
      const second = new DataLoader(forms[form](length), { ...given, prefetch: 1, position });
      const after = (await epochs(second, 3 - position.epoch)).flat();
      expect([...before, ...after]).toEqual(whole);
    },
  );

  test("shuffles anew in each epoch and for each seed", async () => {
    const orders = await Promise.all(
      [1, 2].map((seed) => epochs(new DataLoader(range(40), { batchSize: 40, seed }), 2)),
    );
    expect(new Set(orders.flat().map((batches) => batches.flat().join())).size).toBe(4);
  });

  test("makes as many batches ahead as it is told", async () => {
    const made: number[] = [];
    const collate = (list: number[]): number => {
      made.push(list[0]);
      return list[0];
    };
    const loader = new DataLoader(range(9), { batchSize: 1, prefetch: 3, collate });
    for await (const batch of loader) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      expect(made).toEqual(range(Math.min(9, batch + 4)));
      if (batch === 7) break;
    }
    expect(loader.position).toEqual({ epoch: 0, batch: 8 });
  });

  test("passes on what fails, when its turn comes, and closes what it looped over", async () => {
    let isClosed = false;
    function* five(): Generator<number> {
      try {
        yield* range(5);
      } finally {
        isClosed = true;
      }
    }
    const collate = ([i]: number[]): number => {
      if (i === 2) throw new Error("no third");
      return i;
    };
    const seen: number[] = [];
    const run = async (): Promise<void> => {
      for await (const i of new DataLoader(five(), { batchSize: 1, prefetch: 4, collate })) seen.push(i);
    };
    await expect(run()).rejects.toThrow("no third");
    expect(seen).toEqual([0, 1]);
    expect(isClosed).toBe(true);
  });

  test("refuses what it cannot do", async () => {
    const once = new DataLoader(range(3).values(), { batchSize: 2 });
    expect(await listOf(once)).toEqual([[0, 1], [2]]);
    await expect(listOf(once)).rejects.toThrow("expected a set that can be looped over again");
    const busy = new DataLoader(range(3), { batchSize: 1 });
    for await (const _ of busy)
      await expect(listOf(busy)).rejects.toThrow("expected the loop before to have ended");
    const make = (set: unknown, options: object) => () =>
      new DataLoader(set as number[], { batchSize: 1, ...options });
    expect(make(7, {})).toThrow("DataLoader: expected a set with length and at");
    expect(make(new Set([1]), { seed: 1 })).toThrow("to shuffle it");
    expect(make([1], { batchSize: 0 })).toThrow("batchSize to be an integer of at least 1");
    expect(make([1], { shuffle: true })).toThrow("got shuffle");
    expect(make([1], { position: { epoch: -1, batch: 0 } })).toThrow("DataLoader: position: expected epoch");
  });
});
