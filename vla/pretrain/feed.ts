import { type Random, Tensor } from "../../core/index.ts";
import type { Batch, BatchSettings } from "../data/batch.ts";
import { BatchStream } from "../data/batch-stream.ts";
import { streamsOf } from "../data/order.ts";
import type { Targets } from "./grounded-encoder.ts";
import type { Labelled, LabelledSet } from "./labelled-set.ts";
import { THINGS } from "./named-things.ts";
import { MAPS, pointsOf, writeShares } from "./targets.ts";

/** Where examples come from, how many of a batch, and whether their actions are to be learnt. */
export interface Source {
  readonly examples: LabelledSet;
  readonly size: number;
  readonly acts: boolean;
}

/** An example of a batch with the task whose words it comes with. */
export interface Told {
  readonly shown: Labelled;
  readonly task: number;
}

/**
 * How often a demonstration comes with the words of another task of its scene. Its actions do not count then, but the
 * things that those words name are to be found all the same: else the hand, which is on its way, would tell.
 */
const SWAPPED = 0.15;

export interface FeedSettings extends Omit<BatchSettings, "size"> {
  /** Side of the map of tokens. */
  readonly mapSide: number;
  /** Token ids of an instruction, all of one length. */
  tokens(instruction: string): Int32Array;
}

/** Inputs of an update, in this order. */
export type Inputs = [agentview: Tensor, wrist: Tensor, ids: Tensor, ...targets: Tensor[]];

/** Batches of several sources, from number `first` on: number k is a function of the settings and k alone. */
export class GroundingFeed implements Disposable {
  readonly #sources: readonly Source[];
  readonly #settings: FeedSettings;
  readonly #streams: readonly BatchStream[];
  readonly #words: (batch: number) => Random;

  constructor(sources: readonly Source[], settings: FeedSettings, first: number) {
    const { seed, imageSize, augmentation } = settings;
    this.#sources = sources;
    this.#settings = settings;
    this.#streams = sources.map(
      ({ examples, size }) => new BatchStream(examples.set, { seed, size, imageSize, augmentation }, first),
    );
    this.#words = streamsOf(seed, "words of pictures");
  }

  /** The next batch: makes its tensors in the scope that is open then. */
  async next(): Promise<() => Inputs> {
    const batches: Batch[] = [];
    for (const stream of this.#streams) batches.push(await stream.next());
    return () => {
      const random = this.#words(batches[0].number);
      const told = batches.map((batch, i) =>
        Array.from(batch.examples, (example) =>
          tell(this.#sources[i].examples.at(example), this.#sources[i].acts, random),
        ),
      );
      return inputsOf(
        batches,
        told,
        this.#sources.map(({ acts }) => acts),
        this.#settings,
      );
    };
  }

  [Symbol.dispose](): void {
    for (const stream of this.#streams) stream[Symbol.dispose]();
  }
}

/** Chooses the words: any task's for a random scene, as a rule its own for a demonstration. */
function tell(shown: Labelled, acts: boolean, random: Random): Told {
  const { tasks, own } = shown;
  const isOwn = acts && random.uniform() >= SWAPPED;
  return { shown, task: isOwn ? own : random.integer(tasks.length) };
}

/** Batches side by side as the tensors of one. */
export function inputsOf(
  batches: readonly Omit<Batch, "number">[],
  told: readonly (readonly Told[])[],
  acts: readonly boolean[],
  { imageSize, mapSide, tokens }: FeedSettings,
): Inputs {
  const all = told.flat();
  const B = all.length;
  const N = mapSide ** 2;
  const join = (parts: readonly Float32Array[]): Float32Array => {
    const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  };
  const ids = all.map(({ shown, task }) => tokens(shown.tasks[task].instruction));
  const shifts = batches.flatMap((batch) => [...batch.shifts]);
  const shares = new Float32Array(B * MAPS * N);
  const places = new Float32Array(B * 3 * THINGS.length);
  all.forEach(({ shown, task }, b) => {
    pointsOf(shown, task, shifts.slice(4 * b, 4 * b + 4), imageSize, mapSide).forEach((point, map) => {
      const at = (b * MAPS + map) * N;
      if (point) writeShares(point, mapSide, shares.subarray(at, at + N));
    });
    places.set(shown.tasks[task].labels.positions(shown.state), b * 3 * THINGS.length);
  });
  const counts = told.flatMap((list, i) => list.map(({ shown, task }) => acts[i] && task === shown.own));
  const weight = 1 / Math.max(1, counts.filter(Boolean).length);
  const actions = join(batches.map((batch) => batch.actions));
  return [
    Tensor.from(join(batches.map((batch) => batch.agentview)), [B, 3, imageSize, imageSize]),
    Tensor.from(join(batches.map((batch) => batch.wrist)), [B, 3, imageSize, imageSize]),
    Tensor.from(
      ids.flatMap((list) => [...list]),
      [B, ids[0].length],
      "int32",
    ),
    Tensor.from(shares, [B, MAPS, N]),
    Tensor.from(places, [B, 3 * THINGS.length]),
    Tensor.from(actions, [B, actions.length / B]),
    Tensor.from(
      counts.map((doesCount) => (doesCount ? weight : 0)),
      [B, 1],
    ),
  ];
}

/** The targets among an update's inputs. */
export function targetsOf([, , , tokens, places, actions, weights]: readonly Tensor[]): Targets {
  return { tokens, places, actions, weights };
}
