import { Cache } from "../../core/index.ts";
import type { Contacts } from "./contacts.ts";
import { type Compiled, compileModel, type ModelSource } from "./model-cache.ts";
import {
  contactWords,
  leaveOutSensors,
  loadMuJoCo,
  type MainModule,
  type MjData,
  type MjModel,
  rescaleContacts,
} from "./mujoco.ts";
import { jointKinds, layoutOf, MOST_NUMBER, type StateLayout } from "./state-layout.ts";

/** What of a MuJoCo model has a name here. */
export type Named = "body" | "joint" | "geom" | "site" | "actuator" | "camera";

/** Live views of MuJoCo's memory, under its own names and layouts: metres, radians, seconds; quaternions wxyz. */
export interface SimViews {
  readonly qpos: Float64Array;
  readonly qvel: Float64Array;
  readonly ctrl: Float64Array;
  readonly qfrcBias: Float64Array;
  /**
   * Per degree of freedom its axis of rotation (3) and the velocity (3) it gives to a body at the centre of mass of the
   * tree of bodies it belongs to.
   */
  readonly motionAxes: Float64Array;
  /** Centre of mass of each body with all that hangs on it. */
  readonly treeCentre: Float64Array;
  /** What of the inertia matrix is not zero: see the model's M_rowadr, M_rownnz and M_colind. */
  readonly inertia: Float64Array;
  readonly bodyPos: Float64Array;
  readonly bodyQuat: Float64Array;
  readonly sitePos: Float64Array;
  readonly siteMat: Float64Array;
  /** Pose of each body in its parent's frame: part of the model, written for fixtures only. */
  readonly modelBodyPos: Float64Array;
  readonly modelBodyQuat: Float64Array;
  /** RGBA of each site, alpha below 0 hides it: part of the model. */
  readonly siteRgba: Float32Array;
}

/** How to compile and run a model. */
export interface SimOptions {
  /** Default `mujoco-2.3`. */
  readonly contacts?: Contacts;
  /** Where compiled models are kept; null compiles every time. Default: the user's cache folder. */
  readonly cacheFolder?: string | null;
}

/**
 * One compiled MuJoCo model with its state. Free it with `using` or `[Symbol.dispose]()`: MuJoCo's memory is not
 * garbage collected.
 */
export class Sim implements Disposable {
  readonly mj: MainModule;
  readonly model: MjModel;
  readonly data: MjData;
  /** Sizes: positions, velocities, geoms. */
  readonly nq: number;
  readonly nv: number;
  readonly ngeom: number;
  /** Where the numbers of its states are. */
  readonly layout: StateLayout;
  /** Physics step, seconds. */
  readonly timestep: number;
  readonly #compiled: Compiled;
  #views: SimViews;

  private constructor(mj: MainModule, compiled: Compiled) {
    const { model, data } = compiled;
    this.#compiled = compiled;
    this.mj = mj;
    this.model = model;
    this.data = data;
    this.nq = model.nq;
    this.nv = model.nv;
    this.ngeom = model.ngeom;
    this.layout = layoutOf(jointKinds(model));
    const options = model.opt;
    this.timestep = options.timestep;
    options.delete();
    this.#views = this.#readViews();
  }

  /** Compiles `source` or takes it from the cache, and allocates its state. */
  static async open(source: ModelSource, options: SimOptions = {}): Promise<Sim> {
    const { contacts = "mujoco-2.3", cacheFolder } = options;
    const mj = await loadMuJoCo();
    const compiled = compileModel(mj, source, new Cache(cacheFolder));
    const { model } = compiled;
    // The cache holds models as compiled, so every way here needs each of these exactly once.
    if (contacts === "mujoco-2.3") rescaleContacts(mj, model);
    leaveOutSensors(mj, model);
    return new Sim(mj, compiled);
  }

  [Symbol.dispose](): void {
    this.#compiled[Symbol.dispose]();
  }

  /** Current views. Take them anew in every function: the heap may move when another model is loaded. */
  get views(): SimViews {
    // Growing WASM memory detaches every view at once, which leaves them empty.
    if (this.#views.siteMat.buffer.byteLength === 0) this.#views = this.#readViews();
    return this.#views;
  }

  #readViews(): SimViews {
    const { data, model } = this;
    return {
      qpos: data.qpos,
      qvel: data.qvel,
      ctrl: data.ctrl,
      qfrcBias: data.qfrc_bias,
      motionAxes: data.cdof,
      treeCentre: data.subtree_com,
      inertia: data.M,
      bodyPos: data.xpos,
      bodyQuat: data.xquat,
      sitePos: data.site_xpos,
      siteMat: data.site_xmat,
      modelBodyPos: model.body_pos,
      modelBodyQuat: model.body_quat,
      siteRgba: model.site_rgba,
    };
  }

  /** Id of a named thing. @throws Error if the model has none of that name. */
  id(kind: Named, name: string): number {
    const type = {
      body: this.mj.mjtObj.mjOBJ_BODY,
      joint: this.mj.mjtObj.mjOBJ_JOINT,
      geom: this.mj.mjtObj.mjOBJ_GEOM,
      site: this.mj.mjtObj.mjOBJ_SITE,
      actuator: this.mj.mjtObj.mjOBJ_ACTUATOR,
      camera: this.mj.mjtObj.mjOBJ_CAMERA,
    }[kind];
    const id = this.mj.mj_name2id(this.model, type.value, name);
    if (id < 0) throw new Error(`Sim: expected a ${kind} named "${name}" in the model, found none`);
    return id;
  }

  /** Index of a joint's first number in `qpos`. */
  qposAddress(joint: string): number {
    return this.model.jnt_qposadr[this.id("joint", joint)];
  }

  /** Index of a joint's first number in `qvel`. */
  dofAddress(joint: string): number {
    return this.model.jnt_dofadr[this.id("joint", joint)];
  }

  /**
   * Lowest and highest control of an actuator, (2).
   *
   * @throws Error if the model gives it no range: it would not move.
   */
  controlRange(actuator: number): Float64Array {
    const range: Float64Array = this.model.actuator_ctrlrange.slice(2 * actuator, 2 * actuator + 2);
    if (range[0] < range[1]) return range;
    const name = this.mj.mj_id2name(this.model, this.mj.mjtObj.mjOBJ_ACTUATOR.value, actuator);
    throw new Error(`Sim: expected actuator "${name}" with a control range, found ${range.join(" to ")}`);
  }

  /** Names of all sites by id; "" for a site without a name. */
  siteNames(): string[] {
    const site = this.mj.mjtObj.mjOBJ_SITE.value;
    return Array.from(
      { length: this.model.nsite },
      (_, id) => this.mj.mj_id2name(this.model, site, id) ?? "",
    );
  }

  /** Sets the initial state of the MJCF: nothing moves, no control, no warm start, time 0. */
  resetData(): void {
    this.mj.mj_resetData(this.model, this.data);
  }

  /** Computes everything that follows from the state; the state stays. */
  forward(): void {
    this.mj.mj_forward(this.model, this.data);
  }

  /** Computes poses, Jacobians' ingredients and inertia only: no contacts, no forces. */
  computePoses(): void {
    this.mj.mj_kinematics(this.model, this.data);
    this.mj.mj_comPos(this.model, this.data);
    this.mj.mj_makeM(this.model, this.data);
  }

  /** Computes poses of bodies, sites and cameras only: what follows from positions and is seen. */
  computeSights(): void {
    this.mj.mj_kinematics(this.model, this.data);
    this.mj.mj_camlight(this.model, this.data);
  }

  /** First half of a physics step: poses, inertia, contacts, bias forces of the current state. */
  step1(): void {
    this.mj.mj_step1(this.model, this.data);
  }

  /**
   * Second half: forces from `ctrl`, then the new state. What follows from the state keeps the values of the first
   * half.
   */
  step2(): void {
    this.mj.mj_step2(this.model, this.data);
  }

  /**
   * Why what was computed since `resetData` is not the physics of this model; null if it is.
   *
   * MuJoCo does not fail. It answers a state that blew up by starting over from its default pose, a bad control by
   * none, a lack of memory by leaving out contacts, and counts a warning. Each of them makes all that follows
   * worthless. Costs about a thousandth of a control step.
   */
  fault(): string | null {
    const warnings = this.data.warning; // copies the counts; not to be deleted in 3.14
    for (let kind = 0; kind < warnings.size(); kind++) {
      const warning = warnings.get(kind)!;
      const { number, lastinfo } = warning;
      warning.delete();
      if (number > 0) return this.mj.mju_warningText(kind, lastinfo);
    }
    for (const numbers of [this.views.qpos, this.views.qvel])
      for (let i = 0; i < numbers.length; i++)
        // Also false for NaN; MuJoCo itself looks at the next step only.
        if (!(Math.abs(numbers[i]) <= MOST_NUMBER)) return `${numbers[i]} in the state`;
    return null;
  }

  /**
   * Whether some current contact pairs a geom of group `a` with one of group `b`, in either order.
   *
   * @param group group of each geom by id, (ngeom).
   */
  touching(group: Int16Array, a: number, b: number): boolean {
    const { words, stride, first } = contactWords(this.data);
    for (let at = first; at < words.length; at += stride) {
      const g1 = group[words[at]];
      const g2 = group[words[at + 1]];
      if ((g1 === a && g2 === b) || (g1 === b && g2 === a)) return true;
    }
    return false;
  }
}
