import type { LiberoEnv } from "../libero/env.ts";
import { EnvError } from "../libero/env-error.ts";
import { ARM_JOINTS } from "../libero/robot.ts";
import type { FixturePose, SceneObject } from "../libero/scene.ts";
import { showLevels } from "./dimensions.ts";
import { placeDistractors } from "./distractors.ts";
import { drawsOf, type EpisodeName } from "./draws.ts";
import { overlapFault, THE_ROBOT } from "./overlap.ts";
import { drawMoves, type Move } from "./position.ts";
import { comeToRest, type Expected, type Rest, restFault } from "./rest.ts";
import { perturbArm } from "./robot.ts";
import type { PerturbedTask } from "./task.ts";

/** Draws before giving up. */
const ATTEMPTS = 50;
/** Where distractors are while it is looked how things are without them: on the floor, a good way off, metres. */
const AWAY = { x: 2.2, y: 2.2, z: 0.3, apart: 0.3 };

/** How a start was changed. */
export interface StartChange {
  /** Draws that were given up before this one, since the start would not have been sound. */
  readonly givenUp: number;
  /** What moved, by name, metres. */
  readonly position?: Readonly<Record<string, Move>>;
  /** What lies about, by name: its kind. */
  readonly distractors?: Readonly<Record<string, string>>;
  /** By how much each joint of the arm is turned, radians. */
  readonly robot?: readonly number[];
}

/** Where a perturbed episode starts. */
export interface PerturbedStart {
  /** time, qpos, qvel of the scene with its distractors. */
  readonly state: Float64Array;
  /** Fixtures that stand elsewhere than a reset puts them. */
  readonly moved: ReadonlyMap<string, Move>;
  readonly change: StartChange;
}

/** No draw gave a sound start: a fact about the task and the level, not about who plays it. */
export class NoSoundStart extends EnvError {}

/**
 * A start that is sound: nothing is in anything else or falls over, and after a second the task's things are where they
 * would be, or as much further as they were moved. A draw that is not is given up for the next one.
 *
 * @param env of the perturbed task's scene; left in some state.
 * @param state of the task as its file has it.
 * @returns null where the levels change only what is seen and said
 * @throws NoSoundStart where no draw of 50 is
 */
export function findStart(
  env: LiberoEnv,
  task: PerturbedTask,
  state: ArrayLike<number>,
  episode: EpisodeName,
): PerturbedStart | null {
  const { position, distractors, robot } = task.levels;
  if (position === undefined && distractors === undefined && robot === undefined) return null;
  const row = widened(task, state);
  const away = task.distractors.map(
    (_, i): FixturePose => ({ pos: [AWAY.x, AWAY.y - AWAY.apart * i, AWAY.z], quat: [1, 0, 0, 0] }),
  );
  placeExtra(env, task, row, away);
  env.start({ seed: episode.seed, state: row });
  const usual = comeToRest(env);

  let fault = "none";
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const drawn = drawStart(env, task, row, episode, attempt);
    if (typeof drawn === "string") {
      fault = drawn;
      continue;
    }
    const found = startFault(env, task, drawn, usual, episode);
    if (found === null) return drawn;
    fault = found;
  }
  throw new NoSoundStart(
    `${episode.task}, initial state ${episode.init}, ${showLevels(task.levels)}`,
    `a sound start in ${ATTEMPTS} draws`,
    `none (the last: ${fault})`,
  );
}

const objectOf = (objects: readonly SceneObject[], name: string): SceneObject =>
  objects.find((object) => object.name === name)!;

/** The task's state with room for distractors: their joints come behind those of its own objects. */
function widened({ scene, distractors }: PerturbedTask, state: ArrayLike<number>): Float64Array {
  const own = scene.objects.filter(({ kind }) => kind === "object").length - distractors.length;
  const { nq, nv } = scene.layout;
  const [oldNq, robot, count] = [nq - 7 * distractors.length, 9, distractors.length];
  const [atQ, atV] = [1 + robot + 7 * own, robot + 6 * own];
  const old = Float64Array.from(state);
  const row = new Float64Array(1 + nq + nv);
  row.set(old.subarray(0, atQ));
  row.set(old.subarray(atQ, 1 + oldNq), atQ + 7 * count);
  row.set(old.subarray(1 + oldNq, 1 + oldNq + atV), 1 + nq);
  row.set(old.subarray(1 + oldNq + atV), 1 + nq + atV + 6 * count);
  return row;
}

function placeExtra(
  { sim }: LiberoEnv,
  { distractors }: PerturbedTask,
  row: Float64Array,
  poses: readonly FixturePose[],
): void {
  distractors.forEach(({ facts }, i) => {
    row.set([...poses[i].pos, ...poses[i].quat], 1 + sim.qposAddress(facts.joints[0]));
  });
}

/** One draw; words instead where there is none. */
function drawStart(
  env: LiberoEnv,
  task: PerturbedTask,
  usual: Float64Array,
  episode: EpisodeName,
  attempt: number,
): PerturbedStart | string {
  const { sim } = env;
  const { levels, scene } = task;
  const state = usual.slice();
  const moved = new Map<string, Move>();
  const change: { -readonly [K in keyof StartChange]: StartChange[K] } = { givenUp: attempt };

  if (levels.position) {
    const moves = drawMoves(task.groups.length, levels.position, drawsOf("position", episode, attempt));
    const all = task.groups.flatMap((names, i) => names.map((name) => [name, moves[i]] as const));
    for (const [name, [dx, dy]] of all) {
      const object = objectOf(scene.objects, name);
      if (object.kind === "fixture") {
        moved.set(name, [dx, dy]);
        continue;
      }
      const at = 1 + sim.qposAddress(object.joints[0]);
      state[at] += dx;
      state[at + 1] += dy;
    }
    change.position = Object.fromEntries(all);
  }
  if (levels.robot) {
    const at = ARM_JOINTS.map((joint) => 1 + sim.qposAddress(joint));
    const before = at.map((i) => state[i]);
    const after = perturbArm(before, levels.robot, drawsOf("robot", episode, attempt));
    at.forEach((i, k) => {
      state[i] = after[k];
    });
    change.robot = after.map((angle, k) => angle - before[k]);
  }
  if (levels.distractors) {
    const fixtures = scene.fixturePoses(episode.seed, 0);
    const extra = new Set(task.distractors.map(({ facts }) => facts.name));
    const occupied = task.objects
      .filter(({ facts }) => !extra.has(facts.name))
      .map(({ facts, radius }) => {
        const [dx, dy] = moved.get(facts.name) ?? [0, 0];
        const at = facts.kind === "object" ? 1 + sim.qposAddress(facts.joints[0]) : -1;
        const [x, y] = at >= 0 ? [state[at], state[at + 1]] : fixtures.get(facts.name)!.pos;
        return { x: x + dx, y: y + dy, radius };
      });
    const draws = drawsOf("distractors", episode, attempt);
    const poses = placeDistractors(task.distractors, task.room, task.height, occupied, draws);
    if (poses === null) return "no room for a distractor";
    placeExtra(env, task, state, poses);
    change.distractors = Object.fromEntries(
      task.distractors.map(({ facts }) => [facts.name, facts.category]),
    );
  }
  return { state, moved, change };
}

/** Why a start is not sound; null if it is. */
function startFault(
  env: LiberoEnv,
  { levels, groups, distractors, objects }: PerturbedTask,
  start: PerturbedStart,
  usual: Rest,
  { seed }: EpisodeName,
): string | null {
  const limit = brokenLimit(env, start.state);
  if (limit !== null) return limit;
  const fixtures = overlappingFixtures(env, objects, start.moved, seed);
  if (fixtures !== null) return fixtures;
  try {
    env.start({ seed, state: start.state, moved: start.moved });
    const moved = [
      ...(levels.robot ? [THE_ROBOT] : []),
      ...(levels.position ? groups : []),
      ...distractors.map(({ facts }) => [facts.name]),
    ];
    return (
      overlapFault(env, moved) ??
      restFault(comeToRest(env), expectedPlaces(env, distractors, start, usual), usual)
    );
  } catch (error) {
    // MuJoCo warns of what blows up.
    if (error instanceof EnvError) return error.message;
    throw error;
  }
}

/** Distractors below where they were put, the task's own things as usual, or as much further as they were moved. */
function expectedPlaces(
  { sim }: LiberoEnv,
  distractors: PerturbedTask["distractors"],
  { state, change }: PerturbedStart,
  usual: Rest,
): ReadonlyMap<string, Expected> {
  const places = new Map<string, Expected>();
  for (const [name, { at }] of usual.things) {
    const [dx, dy] = change.position?.[name] ?? [0, 0];
    places.set(name, { at: [at[0] + dx, at[1] + dy, at[2]], dropped: false });
  }
  for (const { facts } of distractors) {
    const at = 1 + sim.qposAddress(facts.joints[0]);
    places.set(facts.name, { at: [state[at], state[at + 1], state[at + 2]], dropped: true });
  }
  return places;
}

function brokenLimit({ sim }: LiberoEnv, state: Float64Array): string | null {
  for (const joint of ARM_JOINTS) {
    const id = sim.id("joint", joint);
    const [low, high]: Float64Array = sim.model.jnt_range.subarray(2 * id, 2 * id + 2);
    const angle = state[1 + sim.qposAddress(joint)];
    if (low < high && !(angle > low && angle < high)) return `${joint} beyond its limit`;
  }
  return null;
}

/** Fixtures do not touch each other in MuJoCo, which counts them as part of the world: their sizes tell. */
function overlappingFixtures(
  { scene }: LiberoEnv,
  objects: PerturbedTask["objects"],
  moved: ReadonlyMap<string, Move>,
  seed: number,
): string | null {
  const poses = scene.fixturePoses(seed, 0);
  const fixtures = objects.filter(({ facts }) => facts.kind === "fixture");
  for (const a of fixtures)
    for (const b of fixtures) {
      const [ax, ay] = moved.get(a.facts.name) ?? [0, 0];
      const [bx, by] = moved.get(b.facts.name) ?? [0, 0];
      if (a === b || (ax === bx && ay === by)) continue;
      const [pa, pb] = [poses.get(a.facts.name)!.pos, poses.get(b.facts.name)!.pos];
      const before = Math.hypot(pa[0] - pb[0], pa[1] - pb[1]);
      const after = Math.hypot(pa[0] + ax - pb[0] - bx, pa[1] + ay - pb[1] - by);
      // LIBERO puts some closer than their sizes say, which are those of circles around them.
      if (after < Math.min(before, a.radius + b.radius)) return `${a.facts.name} in ${b.facts.name}`;
    }
  return null;
}
