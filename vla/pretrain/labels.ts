/**
 * Where the named things are, in the world and in both pictures, for every simulator state of a demonstration file:
 * what grounding learns from. Poses are computed, nothing is drawn.
 */
import { createHash } from "node:crypto";
import type { Cache } from "../../core/index.ts";
import { readFixturePoses } from "../libero/fixture-poses.ts";
import { Projection } from "../libero/render/projection.ts";
import { WRIST_CAMERA } from "../libero/robot.ts";
import type { FixturePose, Scene } from "../libero/scene.ts";
import { Sim } from "../libero/sim.ts";
import { stateFault } from "../libero/state-layout.ts";
import { NamedThings, THINGS } from "./named-things.ts";

/** An episode's simulator states, and its model, in which the fixtures stand where they stood. */
export interface Recording {
  /** For messages. */
  readonly name: string;
  /** MJCF. */
  readonly model: string;
  /** (time, qpos, qvel), row-major (length, 1 + nq + nv). */
  readonly states: Float64Array;
}

const CAMERAS = ["agentview", WRIST_CAMERA];
/** Numbers per state: a position (3) per thing, then (u, v) per camera and thing. */
const PLACES = 3 * THINGS.length;
const POINTS = 2 * CAMERAS.length * THINGS.length;
const NUMBERS = PLACES + POINTS;

/** Raised with every change of what labels mean. */
const VERSION = 1;

/** Labels of states, one after the other. */
export class Labels {
  readonly #numbers: Float32Array;

  constructor(numbers: Float32Array) {
    this.#numbers = numbers;
  }

  /** States. */
  get count(): number {
    return this.#numbers.length / NUMBERS;
  }

  /** Positions of a state's things in the world, metres: object (3), destination (3), fingertips (3). */
  positions(state: number): Float32Array {
    return this.#numbers.subarray(NUMBERS * state, NUMBERS * state + PLACES);
  }

  /**
   * Where the things are in the pictures, as shares of the side from the bottom left corner: (u, v) of object,
   * destination and fingertips in agentview, then in the wrist camera. Beside the picture a number is below 0 or above
   * 1; behind the camera both are NaN.
   */
  points(state: number): Float32Array {
    return this.#numbers.subarray(NUMBERS * state + PLACES, NUMBERS * (state + 1));
  }
}

/** Labels of recordings for one task of their scene; from the cache when the same ones were labelled before. */
export async function labelRecordings(
  scene: Scene,
  recordings: readonly Recording[],
  cache: Cache,
): Promise<Labels> {
  const key = keyOf(scene, recordings);
  const known = cache.read(key);
  if (known) return new Labels(new Float32Array(Uint8Array.from(known).buffer));
  const labels = await computeLabels(scene, recordings, cache.folder);
  cache.write(key, new Uint8Array(labels.buffer));
  return new Labels(labels);
}

function keyOf({ mjcf, goal }: Scene, recordings: readonly Recording[]): string {
  const hash = createHash("sha256").update(JSON.stringify([mjcf, goal]));
  for (const { model, states } of recordings)
    hash
      .update(`\n${model.length} ${states.length}\n`)
      .update(model)
      .update(new Uint8Array(states.buffer, states.byteOffset, states.byteLength));
  return `labels ${VERSION}: ${hash.digest("hex")}`;
}

async function computeLabels(
  scene: Scene,
  recordings: readonly Recording[],
  cacheFolder: string | null,
): Promise<Float32Array> {
  using sim = await Sim.open(scene, { cacheFolder });
  const things = new NamedThings(scene, sim);
  const projections = CAMERAS.map((camera) => new Projection(sim.mj, sim.model, camera));
  const width = 1 + sim.nq + sim.nv;
  const poses = new Map<string, ReadonlyMap<string, FixturePose>>();
  const numbers: number[] = [];
  for (const { name, model, states } of recordings) {
    if (!poses.has(model)) poses.set(model, readFixturePoses(scene, model, name));
    placeFixtures(scene, sim, poses.get(model)!);
    for (let at = 0; at < states.length; at += width) {
      const row = states.subarray(at, at + width);
      const fault = stateFault(row, sim.layout);
      if (fault)
        throw new Error(
          `labels: ${name}, state ${at / width}: expected ${fault.expected}, found ${fault.found}`,
        );
      sim.views.qpos.set(row.subarray(1, 1 + sim.nq));
      if (things.needContacts) sim.forward();
      else sim.computeSights();
      const positions = things.positions();
      numbers.push(...positions.flat());
      for (const projection of projections) {
        projection.look(sim.data);
        for (const position of positions)
          numbers.push(...(projection.project(position) ?? [Number.NaN, Number.NaN]));
      }
    }
  }
  return Float32Array.from(numbers);
}

function placeFixtures(scene: Scene, sim: Sim, poses: ReadonlyMap<string, FixturePose>): void {
  const { modelBodyPos, modelBodyQuat } = sim.views;
  for (const { name, rootBody } of scene.objects) {
    const pose = poses.get(name);
    if (!pose) continue; // it moves freely
    const body = sim.id("body", rootBody);
    modelBodyPos.set(pose.pos, 3 * body);
    modelBodyQuat.set(pose.quat, 4 * body);
  }
}
