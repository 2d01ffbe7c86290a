import { checkFunction, checkInteger, checkOptions, Random, refuse } from "../core/index.ts";
import { EpochOrder } from "./epoch-order.ts";

/** Examples by number, such as an array. They may be read when asked for, which is only for those below the length. */
export interface Indexed<T> {
  readonly length: number;
  at(index: number): T | undefined | Promise<T>;
}

/** Where a loader stands, as plain JSON: the next batch, by epoch and number within it, both from 0. */
export interface Position {
  readonly epoch: number;
  readonly batch: number;
}

export interface LoaderOptions<T, B> {
  /** Examples per batch; the last batch of an epoch may have fewer. */
  readonly batchSize: number;
  /** Leaves out a last batch that has fewer. False unless given. */
  readonly dropLast?: boolean;
  /** Every epoch has an order of its own, drawn from it. Without a seed examples come as they lie. */
  readonly seed?: number;
  /** Makes a batch of examples; without it a batch is the list of them. */
  readonly collate?: (examples: T[]) => B | Promise<B>;
  /** Batches that are made ahead, while others are in use; 0 unless given. */
  readonly prefetch?: number;
  /** Where to go on; at the start unless given. */
  readonly position?: Position;
}

/** What `for await` takes from a loader. */
export type Batches<B> = AsyncGenerator<B, void, undefined>;

/**
 * Batches of examples, epoch by epoch: each loop over it gives the rest of the epoch that it stands in.
 *
 *     const loader = new DataLoader(pictures, { batchSize: 32, seed: 1, collate: sideBySide, prefetch: 2 });
 *     for (let epoch = 0; epoch < 10; epoch++)
 *       for await (const batch of loader) await step.run(tensorsOf(batch), rate(n++));
 *
 * `position` says where it stands, counting batches that were given, not those made ahead: a loader made with it gives
 * the same batches as one that was never stopped. The set is an array, anything with a length and `at`, or anything
 * that can be looped over, sync or async: that is read from its start in each epoch, and cannot be shuffled. Tensors
 * that `collate` makes belong to whatever scope is open meanwhile, so let it give arrays and make tensors in the step.
 */
export class DataLoader<T, B = T[]> {
  readonly #set: Indexed<T> | Iterable<T> | AsyncIterable<T>;
  readonly #batchSize: number;
  readonly #dropLast: boolean;
  readonly #order: EpochOrder | null;
  readonly #collate: (examples: T[]) => B | Promise<B>;
  readonly #prefetch: number;
  #position: Position;
  #isRunning = false;

  constructor(set: Indexed<T> | Iterable<T> | AsyncIterable<T>, options: LoaderOptions<T, B>) {
    const known = ["batchSize", "dropLast", "seed", "collate", "prefetch", "position"];
    checkOptions(options, known, "DataLoader");
    const { batchSize, dropLast = false, seed, prefetch = 0 } = options;
    const { collate = (examples: T[]) => examples as B, position = { epoch: 0, batch: 0 } } = options;
    if (!isIndexed(set) && !isIterable(set))
      refuse("DataLoader", "a set with length and at, or one to loop over", set);
    checkInteger(batchSize, 1, "DataLoader", "batchSize");
    if (typeof dropLast !== "boolean") refuse("DataLoader", "dropLast to be true or false", dropLast);
    if (seed !== undefined) checkInteger(seed, 0, "DataLoader", "seed");
    if (seed !== undefined && !isIndexed(set))
      refuse("DataLoader", "a set with length and at, to shuffle it", set);
    checkFunction(collate, "DataLoader", "collate");
    checkInteger(prefetch, 0, "DataLoader", "prefetch");
    checkOptions(position, ["epoch", "batch"], "DataLoader: position");
    checkInteger(position.epoch, 0, "DataLoader: position", "epoch");
    checkInteger(position.batch, 0, "DataLoader: position", "batch");
    this.#set = set;
    this.#batchSize = batchSize;
    this.#dropLast = dropLast;
    this.#order =
      seed === undefined || !isIndexed(set) || set.length === 0
        ? null
        : new EpochOrder(set.length, (epoch) => new Random(seed, epoch));
    this.#collate = collate;
    this.#prefetch = prefetch;
    this.#position = { epoch: position.epoch, batch: position.batch };
  }

  /** The next batch that a loop will give. */
  get position(): Position {
    return this.#position;
  }

  /** The rest of the epoch. Once it is through, the next loop begins the next epoch; left early, it goes on there. */
  async *[Symbol.asyncIterator](): Batches<B> {
    if (this.#isRunning) throw new Error("DataLoader: expected the loop before to have ended");
    this.#isRunning = true;
    const { epoch, batch } = this.#position;
    const source = isIndexed(this.#set)
      ? this.#byNumber(this.#set, epoch, batch)
      : this.#inOrder(this.#set, epoch, batch);
    const ahead: Promise<B | null>[] = [];
    try {
      while (true) {
        while (ahead.length <= this.#prefetch) ahead.push(handled(source.next()));
        const made = await (ahead.shift() as Promise<B | null>);
        if (made === null) break;
        this.#position = { epoch, batch: this.#position.batch + 1 };
        yield made;
      }
      this.#position = { epoch: epoch + 1, batch: 0 };
    } finally {
      this.#isRunning = false;
      await source.close();
    }
  }

  /** Batches of a set whose examples have numbers: several may be made at once. */
  #byNumber(set: Indexed<T>, epoch: number, first: number): Source<B> {
    const { length } = set;
    const whole = this.#dropLast ? Math.floor(length / this.#batchSize) : Math.ceil(length / this.#batchSize);
    let next = first;
    return {
      next: async () => {
        if (next >= whole) return null;
        const start = this.#batchSize * next++;
        const numbers = Array.from(
          { length: Math.min(this.#batchSize, length - start) },
          (_, i) => this.#order?.at(epoch * length + start + i) ?? start + i,
        );
        return this.#collate(await Promise.all(numbers.map((number) => set.at(number) as T | Promise<T>)));
      },
      close: async () => {},
    };
  }

  /**
   * Batches of a set that is looped over, which gives one example after the other; those before `first` are passed
   * over.
   */
  #inOrder(set: Iterable<T> | AsyncIterable<T>, epoch: number, first: number): Source<B> {
    const examples =
      Symbol.asyncIterator in set ? set[Symbol.asyncIterator]() : (set as Iterable<T>)[Symbol.iterator]();
    let skipped = first * this.#batchSize;
    let found = false;
    const read = async (): Promise<T[] | null> => {
      for (; skipped > 0; skipped--) found = !(await examples.next()).done || found;
      const list: T[] = [];
      while (list.length < this.#batchSize) {
        const { done, value } = await examples.next();
        if (done) break;
        list.push(value);
        found = true;
      }
      if (!found && epoch > 0)
        throw new Error(
          "DataLoader: expected a set that can be looped over again, found none left: give an array, or an object " +
            "whose [Symbol.iterator] starts anew",
        );
      return list.length === 0 || (this.#dropLast && list.length < this.#batchSize) ? null : list;
    };
    let before: Promise<unknown> = Promise.resolve();
    return {
      next: async () => {
        const mine = before.then(read);
        before = mine.catch(() => {}); // told to whom it was read for
        const list = await mine;
        return list && this.#collate(list);
      },
      close: async () => {
        await before;
        await examples.return?.();
      },
    };
  }
}

/** Gives the batches of an epoch one after the other, null at its end. */
interface Source<B> {
  next(): Promise<B | null>;
  close(): Promise<void>;
}

/** The same promise; that nobody awaits it, because a loop ended before, is no fault. */
function handled<P>(promise: Promise<P>): Promise<P> {
  promise.catch(() => {});
  return promise;
}

const isIndexed = <T>(set: unknown): set is Indexed<T> =>
  typeof set === "object" &&
  set !== null &&
  typeof (set as Partial<Indexed<T>>).at === "function" &&
  typeof (set as Partial<Indexed<T>>).length === "number";

const isIterable = (set: unknown): boolean =>
  typeof set === "object" && set !== null && (Symbol.iterator in set || Symbol.asyncIterator in set);
