import { noGrad, tidy } from "../../core/index.ts";
import { allocateArrays, writeExample } from "../data/batch.ts";
import type { Evaluation } from "../train/run.ts";
import { type FeedSettings, inputsOf, type Told, targetsOf } from "./feed.ts";
import { type GroundedEncoder, groundingLoss } from "./grounded-encoder.ts";
import type { LabelledSet } from "./labelled-set.ts";
import { THINGS } from "./named-things.ts";
import { MAPS, type MapPoint, pointOf, pointsOf } from "./targets.ts";

/** Examples of each kind that are looked at, and how many at a time. */
const LOOKED_AT = 384;
const AT_ONCE = 32;
/**
 * Tokens, along each axis: so near is a hit, so near is close, and things so far apart are told apart by the pointer.
 */
const HIT = 1.5;
const CLOSE = 0.5;
const APART = 0.75;

const ENTRIES = ["x", "y", "z", "roll", "pitch", "yaw", "gripper"];
const CAMERAS = ["agentview", "wrist"];

/** What the heads read of one example, as plain numbers. */
interface Seen {
  readonly told: Told;
  /** Where each map points. */
  readonly points: readonly MapPoint[];
  /** Metres. */
  readonly places: readonly number[];
  /** Mean absolute error of each entry of the actions. */
  readonly actionErrors: readonly number[];
}

/**
 * Measures an encoder on episodes that were held out:
 *
 * - `hits`: how often the pointer is at most one token off, of those things that a picture shows, per camera and
 *   thing; `pixels`: how far off it is on average, along the worse axis; `tasks`: how often it is within half a token
 *   of object and destination, by task;
 * - `swapped`: demonstrations with the words of another task of their scene, where the two tasks' things lie apart:
 *   how often the pointer is nearer to the thing that is named than to that of the demonstration, by thing and by task
 *   named;
 * - `scenes`: how often it is within half a token in random scenes, by thing and by task;
 * - `millimetres`: mean absolute error of a coordinate; `actions`: of each entry of the chunk, in action units.
 */
export async function evaluate(
  model: GroundedEncoder,
  { demonstrations, scenes }: { readonly demonstrations: LabelledSet; readonly scenes: LabelledSet },
  settings: FeedSettings,
  interrupted: () => boolean,
): Promise<Evaluation | null> {
  const { imageSize, mapSide } = settings;
  const plain = [0, 0, 0, 0];
  const right = ({ shown, task }: Told): (MapPoint | null)[] =>
    pointsOf(shown, task, plain, imageSize, mapSide);
  const shares = new Shares();
  let [loss, looks] = [0, 0];

  const own = choose(demonstrations, (shown) => shown.own);
  const swapped = choose(
    demonstrations,
    ({ tasks, own: task }, i) => (task + 1 + (i % Math.max(1, tasks.length - 1))) % tasks.length,
  );
  const random = choose(scenes, ({ tasks }, i) => i % tasks.length);
  const look = async (
    set: LabelledSet,
    chosen: readonly Chosen[],
    count: (seen: Seen) => void,
  ): Promise<boolean> => {
    for (let at = 0; at < chosen.length; at += AT_ONCE) {
      if (interrupted()) return false;
      const found = lookAt(model, set, chosen.slice(at, at + AT_ONCE), settings);
      found.seen.forEach(count);
      if (chosen === own) [loss, looks] = [loss + found.loss * found.seen.length, looks + found.seen.length];
      await new Promise(setImmediate); // lets signals in
    }
    return true;
  };

  const whole =
    (await look(demonstrations, own, ({ told, points, places, actionErrors }) => {
      right(told).forEach((point, map) => {
        if (!point) return;
        const off = distance(point, points[map]);
        const thing = THINGS[map % THINGS.length];
        const name = `${CAMERAS[Math.floor(map / THINGS.length)]} ${thing}`;
        shares.add(`hits/${name}`, off <= HIT);
        shares.add(`pixels/${name}`, (off * imageSize) / mapSide);
        if (thing !== "fingertips") shares.add(`tasks/${nameOf(told)}`, off <= CLOSE);
      });
      const { labels } = told.shown.tasks[told.task];
      labels.positions(told.shown.state).forEach((place, k) => {
        shares.add(`millimetres/${THINGS[Math.floor(k / 3)]}`, 1000 * Math.abs(place - places[k]));
      });
      actionErrors.forEach((error, k) => {
        shares.add(`actions/${ENTRIES[k]}`, error);
      });
    })) &&
    (await look(demonstrations, swapped, ({ told, points }) => {
      const [named, meant] = [right(told), right({ ...told, task: told.shown.own })];
      named.forEach((point, map) => {
        const other = meant[map];
        if (!point || !other || distance(point, other) < APART) return;
        const thing = THINGS[map % THINGS.length];
        const follows = distance(point, points[map]) < distance(other, points[map]);
        shares.add(`swapped/${thing}`, follows);
        shares.add(`swapped/${nameOf(told)}`, follows);
      });
    })) &&
    (await look(scenes, random, ({ told, points }) => {
      right(told).forEach((point, map) => {
        if (!point) return;
        const thing = THINGS[map % THINGS.length];
        const isClose = distance(point, points[map]) <= CLOSE;
        shares.add(`scenes/${thing}`, isClose);
        if (thing !== "fingertips") shares.add(`scenes/${nameOf(told)}`, isClose);
      });
    }));
  return whole ? { score: -loss / looks, values: { loss: loss / looks, ...shares.values() } } : null;
}

/** Along the worse axis, tokens. */
const distance = (a: MapPoint, b: MapPoint): number => Math.max(Math.abs(a[0] - b[0]), Math.abs(a[1] - b[1]));

const nameOf = ({ shown, task }: Told): string => shown.tasks[task].name;

/** An example's number and what is told about it. */
interface Chosen {
  readonly example: number;
  readonly told: Told;
}

/** Examples at equal distances, with a task for each. */
function choose(set: LabelledSet, taskOf: (shown: Told["shown"], i: number) => number): Chosen[] {
  const count = Math.min(LOOKED_AT, set.set.count);
  return Array.from({ length: count }, (_, i) => {
    const example = Math.floor(((i + 0.5) * set.set.count) / count);
    const shown = set.at(example);
    return { example, told: { shown, task: taskOf(shown, i) } };
  });
}

function lookAt(
  model: GroundedEncoder,
  { set }: LabelledSet,
  chosen: readonly Chosen[],
  settings: FeedSettings,
): { seen: Seen[]; loss: number } {
  const arrays = allocateArrays(set, chosen.length, settings.imageSize);
  const unchanged = { dx: 0, dy: 0, gain: 1 };
  chosen.forEach(({ example }, b) => {
    writeExample(set, settings.imageSize, example, { agentview: unchanged, wrist: unchanged }, arrays, b);
  });
  return noGrad(() =>
    tidy(() => {
      const inputs = inputsOf([arrays], [chosen.map(({ told }) => told)], [true], settings);
      const [agentview, wrist, ids] = inputs;
      const read = model.read(agentview, wrist, ids);
      const loss = groundingLoss(read, targetsOf(inputs)).loss.item();
      const [likelihoods, places, actions] = [read.logits.softmax(), read.places, read.actions].map(
        ({ data }) => data,
      );
      const { mapSide } = settings;
      const N = mapSide ** 2;
      const row = (data: ArrayLike<number>, b: number): number[] => {
        const width = data.length / chosen.length;
        return Array.from({ length: width }, (_, k) => data[b * width + k]);
      };
      const seen = chosen.map(({ told }, b): Seen => {
        const all = row(likelihoods, b);
        const [planned, wanted] = [row(actions, b), row(arrays.actions, b)];
        const errors = planned.map((value, k) => Math.abs(Math.min(1, Math.max(-1, value)) - wanted[k]));
        return {
          told,
          points: Array.from({ length: MAPS }, (_, map) =>
            pointOf(all.slice(map * N, (map + 1) * N), mapSide),
          ),
          places: row(places, b),
          actionErrors: ENTRIES.map((_, k) => mean(errors.filter((_, i) => i % ENTRIES.length === k))),
        };
      });
      return { seen, loss };
    }),
  );
}

/** Means by name. */
class Shares {
  readonly #sums = new Map<string, [sum: number, count: number]>();

  add(name: string, value: number | boolean): void {
    const [sum, count] = this.#sums.get(name) ?? [0, 0];
    this.#sums.set(name, [sum + Number(value), count + 1]);
  }

  values(): Record<string, number> {
    return Object.fromEntries([...this.#sums].map(([name, [sum, count]]) => [name, sum / count]));
  }
}

const mean = (list: readonly number[]): number => list.reduce((sum, value) => sum + value, 0) / list.length;
