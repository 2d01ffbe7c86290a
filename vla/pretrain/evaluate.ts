import { noGrad, tidy } from "../../core/index.ts";
import { allocateArrays, writeExample } from "../data/batch.ts";
import type { Evaluation } from "../train/run.ts";
import { type FeedSettings, inputsOf, type Told, targetsOf } from "./feed.ts";
import { type GroundedEncoder, groundingLoss } from "./grounded-encoder.ts";
import type { LabelledSet } from "./labelled-set.ts";
import { THINGS } from "./named-things.ts";
import { MAPS, tokensOf } from "./targets.ts";

/** Examples of each kind that are looked at, and how many at a time. */
const LOOKED_AT = 384;
const AT_ONCE = 32;
/** Tokens apart: so near counts as hit, and so far two things are told apart by which of them the pointer is nearer to. */
const NEAR = 1;
const APART = 2;

const ENTRIES = ["x", "y", "z", "roll", "pitch", "yaw", "gripper"];
const CAMERAS = ["agentview", "wrist"];

/** What the heads read of one example, as plain numbers. */
interface Seen {
  readonly told: Told;
  /** The likeliest token of each map. */
  readonly tokens: readonly number[];
  /** Metres. */
  readonly places: readonly number[];
  /** Mean absolute error of each entry of the actions. */
  readonly actionErrors: readonly number[];
}

/**
 * Measures an encoder on episodes that were held out:
 *
 * - `hits`: how often the likeliest token is at most one from the right one, of those things that a picture shows, per
 *   camera and thing; `exact`: how often it is the right one; `tasks`: exact ones of object and destination, by task;
 * - `swapped`: demonstrations with the words of another task of their scene, where the two tasks' things lie apart: how
 *   often the pointer is nearer to the thing that is named than to that of the demonstration, by thing and by task named;
 * - `scenes`: exact ones in random scenes, by thing and by task;
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
  const right = ({ shown, task }: Told): number[] => tokensOf(shown, task, plain, imageSize, mapSide);
  const distance = (a: number, b: number): number =>
    Math.max(
      Math.abs((a % mapSide) - (b % mapSide)),
      Math.abs(Math.floor(a / mapSide) - Math.floor(b / mapSide)),
    );
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
    (await look(demonstrations, own, ({ told, tokens, places, actionErrors }) => {
      right(told).forEach((token, map) => {
        if (token < 0) return;
        const thing = THINGS[map % THINGS.length];
        const name = `${CAMERAS[Math.floor(map / THINGS.length)]} ${thing}`;
        shares.add(`hits/${name}`, distance(token, tokens[map]) <= NEAR);
        shares.add(`exact/${name}`, token === tokens[map]);
        if (thing !== "fingertips") shares.add(`tasks/${nameOf(told)}`, token === tokens[map]);
      });
      const { labels } = told.shown.tasks[told.task];
      labels.positions(told.shown.state).forEach((place, k) => {
        shares.add(`millimetres/${THINGS[Math.floor(k / 3)]}`, 1000 * Math.abs(place - places[k]));
      });
      actionErrors.forEach((error, k) => {
        shares.add(`actions/${ENTRIES[k]}`, error);
      });
    })) &&
    (await look(demonstrations, swapped, ({ told, tokens }) => {
      const [named, meant] = [right(told), right({ ...told, task: told.shown.own })];
      named.forEach((token, map) => {
        if (token < 0 || meant[map] < 0 || distance(token, meant[map]) < APART) return;
        const thing = THINGS[map % THINGS.length];
        const [toNamed, toMeant] = [distance(token, tokens[map]), distance(meant[map], tokens[map])];
        shares.add(`swapped/${thing}`, toNamed < toMeant);
        shares.add(`swapped/${nameOf(told)}`, toNamed < toMeant);
      });
    })) &&
    (await look(scenes, random, ({ told, tokens }) => {
      right(told).forEach((token, map) => {
        if (token < 0) return;
        const thing = THINGS[map % THINGS.length];
        shares.add(`scenes/${thing}`, token === tokens[map]);
        if (thing !== "fingertips") shares.add(`scenes/${nameOf(told)}`, token === tokens[map]);
      });
    }));
  return whole ? { score: -loss / looks, values: { loss: loss / looks, ...shares.values() } } : null;
}

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
      const [logits, places, actions] = [read.logits, read.places, read.actions].map(({ data }) => data);
      const N = settings.mapSide ** 2;
      const row = (data: ArrayLike<number>, b: number): number[] => {
        const width = data.length / chosen.length;
        return Array.from({ length: width }, (_, k) => data[b * width + k]);
      };
      const seen = chosen.map(({ told }, b): Seen => {
        const all = row(logits, b);
        const [planned, wanted] = [row(actions, b), row(arrays.actions, b)];
        const errors = planned.map((value, k) => Math.abs(Math.min(1, Math.max(-1, value)) - wanted[k]));
        return {
          told,
          tokens: Array.from({ length: MAPS }, (_, map) => likeliest(all.slice(map * N, (map + 1) * N))),
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

const likeliest = (list: readonly number[]): number => list.indexOf(Math.max(...list));
const mean = (list: readonly number[]): number => list.reduce((sum, value) => sum + value, 0) / list.length;
