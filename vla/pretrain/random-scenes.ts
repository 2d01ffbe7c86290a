/**
 * Pictures of a scene as no demonstration shows it: its things anywhere on the table, now and then on one another or in
 * the hand, drawers at any opening, the arm anywhere above. What is where does not tell what is to be done, so only the
 * words of a task can; and each picture serves all tasks of the scene.
 */
import type { Random } from "../../core/index.ts";
import type { RecordedEpisode } from "../data/libero-hdf5-writer.ts";
import type { Rectangle } from "../libero/bddl.ts";
import type { LoadedObject } from "../libero/compose/object.ts";
import type { ResetDraws } from "../libero/compose/reset-draws.ts";
import type { LiberoEnv } from "../libero/env.ts";
import { placeFixtures } from "../libero/fixture-poses.ts";
import { samplePlacements } from "../libero/placement.ts";
import { ARM_JOINTS, FINGER_JOINTS } from "../libero/robot.ts";
import type { FixturePose, Scene, Term } from "../libero/scene.ts";
import type { Observation } from "../observation.ts";
import { NamedThings, type Vector } from "./named-things.ts";
import { type HandPose, reach } from "./reach.ts";

/** Where things lie and the hand is, in the frame of the workspace, metres. */
const TABLE: Rectangle = [-0.26, -0.38, 0.2, 0.38];
/** Of the grip site above the table, metres. */
const LOWEST_HAND = 0.013;
const HIGHEST_HAND = 0.35;

/** How often something is put where a task wants it, and how often it is in the hand. */
const DONE = 0.2;
const HELD = 0.25;
/** How often the hand is near something that a task names. */
const NEAR = 0.6;
/** Spread of the arm's joints before it reaches for its pose, and of the hand's yaw and tilt, radians. */
const POSTURE_SPREAD = 0.1;
const YAW_SPREAD = 0.4;
const TILT_SPREAD = 0.05;
/** Finger positions, metres: open, as at a reset, about a block, shut. */
const FINGERS = [0.04, 0.0208, 0.02, 0.001] as const;
const ABOUT_A_BLOCK = 2;
const MOST_TRIES = 20;

/** Draws scenes of one compiled model. */
export class RandomScenes {
  readonly #env: LiberoEnv;
  readonly #draws: ResetDraws;
  /** What the tasks want of movable things: `(On A B)`, `(In A REGION)`. */
  readonly #placements: readonly Term[];
  readonly #things: readonly NamedThings[];
  readonly #objects: ReadonlyMap<string, LoadedObject>;
  /** 1 for the arm's geoms, 2 + i for those of object i, 0 for what stands still. */
  readonly #groups: Int16Array;
  readonly #home: Float64Array;

  /**
   * @param env of one of the tasks
   * @param draws where that task's things may be put
   * @param tasks the scene as each of its tasks has it
   */
  constructor(env: LiberoEnv, draws: ResetDraws, tasks: readonly Scene[]) {
    this.#env = env;
    this.#draws = widen(draws);
    const terms = tasks.flatMap(({ goal }) => goal);
    this.#placements = terms.filter((term) => term.length === 3);
    this.#things = tasks.map((scene) => new NamedThings(scene, env.sim));
    this.#objects = new Map(draws.places.map(({ object }) => [object.facts.name, object]));
    this.#groups = armAndObjects(env);
    env.reset({ seed: 0 });
    this.#home = env.controller.reading.rotation.slice();
  }

  /**
   * Independent scenes as an episode of `frames` + 1 steps in LIBERO's pairing, so that causal pairs are what they
   * should be: the picture of row j belongs to the state of row j + 1. The first state and the last picture stand
   * twice, and all actions are 0.
   */
  episode(frames: number, random: Random): RecordedEpisode {
    const { scene } = this.#env;
    const seed = random.uint32();
    const drawn = Array.from({ length: frames }, () => this.#draw(seed, random));
    const states = drawn.map(({ state }) => state);
    const observations = drawn.map(({ observation }) => observation);
    return {
      mjcf: placeFixtures(scene, scene.fixturePoses(seed, 0)),
      actions: Array.from({ length: frames + 1 }, () => new Float64Array(7)),
      states: [states[0], ...states],
      observations: [...observations, observations[frames - 1]],
    };
  }

  /** Tries until the arm goes through nothing. */
  #draw(seed: number, random: Random): { state: Float64Array; observation: Observation } {
    const env = this.#env;
    for (let tries = 1; ; tries++) {
      env.reset({ seed });
      const { held, reached } = this.#arrange(random);
      const { qpos, qvel } = env.sim.views;
      const state = Float64Array.of(0, ...qpos, ...qvel);
      env.start({ seed, state });
      const sound = reached && !this.#collides(held);
      if (sound || tries === MOST_TRIES) return { state, observation: env.observe() };
    }
  }

  /** Sets positions in the simulator, freshly reset. `held` is the index of the object in the hand, −1 for none. */
  #arrange(random: Random): { held: number; reached: boolean } {
    const { sim, scene } = this.#env;
    const poses = samplePlacements(this.#draws, random.uint32(), 0);
    for (const { name, kind, joints } of scene.objects) {
      if (kind === "object") this.#put(name, poses.get(name)!);
      else for (const joint of joints) sim.views.qpos[sim.qposAddress(joint)] = this.#anyValue(joint, random);
    }
    if (random.uniform() < DONE && this.#placements.length > 0) {
      sim.computePoses();
      this.#fulfil(pick(this.#placements, random), random);
    }

    sim.computePoses();
    const { qpos } = sim.views;
    for (const joint of ARM_JOINTS) qpos[sim.qposAddress(joint)] += POSTURE_SPREAD * random.normal();
    const reached = reach(this.#env, this.#home, this.#handPose(random));

    const isHeld = random.uniform() < HELD && this.#placements.length > 0;
    const finger = isHeld ? ABOUT_A_BLOCK : random.integer(FINGERS.length);
    FINGER_JOINTS.forEach((joint, i) => {
      qpos[sim.qposAddress(joint)] = (i === 0 ? 1 : -1) * FINGERS[finger];
    });
    if (!isHeld) return { held: -1, reached };
    const [, name] = pick(this.#placements, random);
    const { position, rotation } = this.#env.controller.reading;
    const yaw = Math.atan2(rotation[3], rotation[0]) - Math.atan2(this.#home[3], this.#home[0]);
    this.#put(name, {
      pos: [
        position[0] + 0.003 * random.normal(),
        position[1] + 0.003 * random.normal(),
        position[2] + 0.004 * random.normal(),
      ],
      quat: [Math.cos(yaw / 2), 0, 0, Math.sin(yaw / 2)],
    });
    return { held: scene.objects.findIndex((object) => object.name === name), reached };
  }

  #put(name: string, { pos, quat }: FixturePose): void {
    const { sim } = this.#env;
    const [joint] = this.#objects.get(name)!.facts.joints;
    sim.views.qpos.set([...pos, ...quat], sim.qposAddress(joint));
  }

  #anyValue(joint: string, random: Random): number {
    const { model } = this.#env.sim;
    const id = this.#env.sim.id("joint", joint);
    const [low, high] = model.jnt_range.subarray(2 * id, 2 * id + 2);
    return low + (high - low) * random.uniform();
  }

  /** Puts an object where a goal term wants it, poses computed. */
  #fulfil([, name, where]: Term, random: Random): void {
    const { sim, scene } = this.#env;
    const object = this.#objects.get(name) as LoadedObject;
    const region = scene.sites.find((site) => site.name === where);
    const support = this.#objects.get(where);
    const from = region ? sim.views.sitePos : sim.views.bodyPos;
    const id = region ? sim.id("site", where) : sim.id("body", support!.facts.rootBody);
    const [x, y, z] = from.subarray(3 * id, 3 * id + 3);
    const [dx, dy] = region ? [region.size[0] / 2, region.size[1] / 2] : [0.015, 0.015];
    const floor = region ? z - region.size[2] : z + support!.top;
    const yaw = YAW_SPREAD * random.normal();
    this.#put(name, {
      pos: [x + dx * (2 * random.uniform() - 1), y + dy * (2 * random.uniform() - 1), floor - object.bottom],
      quat: [Math.cos(yaw / 2), 0, 0, Math.sin(yaw / 2)],
    });
  }

  /** Above the table, or near something that a task names, poses computed. */
  #handPose(random: Random): HandPose {
    const [offsetX, offsetY, tableTop] = this.#draws.workspace.offset;
    const between = (low: number, high: number): number => low + (high - low) * random.uniform();
    const [x0, y0, x1, y1] = TABLE;
    let position: Vector = [
      offsetX + between(x0, x1),
      offsetY + between(y0, y1),
      tableTop + between(LOWEST_HAND, HIGHEST_HAND),
    ];
    if (random.uniform() < NEAR) {
      const [object, destination] = pick(this.#things, random).positions();
      const [x, y, z] = random.uniform() < 0.5 ? object : destination;
      const above = random.uniform() < 0.5 ? between(0, 0.03) : between(0.03, 0.18);
      position = [x + 0.02 * random.normal(), y + 0.02 * random.normal(), z + above];
    }
    const [x, y, z] = position;
    return {
      position: [x, y, Math.max(z, tableTop + LOWEST_HAND)],
      turn: [TILT_SPREAD * random.normal(), TILT_SPREAD * random.normal(), YAW_SPREAD * random.normal()],
    };
  }

  /** Whether the arm, with what it holds, is inside of anything else. */
  #collides(held: number): boolean {
    const group = this.#groups.map((g) => (g === 1 || g === 2 + held ? 1 : 0));
    return this.#env.sim.touching(group, 1, 0);
  }
}

/**
 * The same draws, with movable things anywhere on the table. Those of which the scene has two stay in their regions:
 * words tell them apart by their places.
 */
function widen(draws: ResetDraws): ResetDraws {
  const categories = draws.places.map(({ object }) => object.facts.category);
  const isAlone = (category: string): boolean =>
    categories.filter((other) => other === category).length === 1;
  return {
    ...draws,
    places: draws.places.map((place) => {
      const { kind, category } = place.object.facts;
      const moves = place.origin.kind === "workspace" && kind === "object" && isAlone(category);
      return moves ? { ...place, ranges: [TABLE] } : place;
    }),
  };
}

function armAndObjects({ scene, sim }: LiberoEnv): Int16Array {
  const { mj, model } = sim;
  const groups = Int16Array.from({ length: sim.ngeom }, (_, geom) => {
    const body = mj.mj_id2name(model, mj.mjtObj.mjOBJ_BODY.value, model.geom_bodyid[geom]) ?? "";
    return /^(robot0|gripper0)_/.test(body) ? 1 : 0;
  });
  scene.objects.forEach(({ contactGeoms }, i) => {
    for (const geom of contactGeoms) groups[sim.id("geom", geom)] = 2 + i;
  });
  return groups;
}

const pick = <T>(list: readonly T[], random: Random): T => list[random.integer(list.length)];
