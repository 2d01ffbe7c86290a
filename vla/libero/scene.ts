import type { StateLayout } from "./state-layout.ts";

/** A term of a BDDL `:init` or `:goal`, such as `["on", "bowl_1", "plate_1"]`; lower case. */
export type Term = readonly string[];

/** One object (moves freely) or fixture (its root body is placed at reset and stays). */
export interface SceneObject {
  readonly name: string;
  readonly kind: "object" | "fixture";
  readonly category: string;
  /** Root body in the MJCF, `<name>_main`. */
  readonly rootBody: string;
  /** The free joint of an object; the hinges and slides of a fixture. */
  readonly joints: readonly string[];
  /** Names of all group-0 geoms of all its bodies: what `on` and contact tests look at. */
  readonly contactGeoms: readonly string[];
  /**
   * Joint values that count as open, closed, on or off when sampled at reset, radians or metres; null without joints.
   */
  readonly articulation: {
    readonly open?: readonly [number, number];
    readonly close?: readonly [number, number];
    readonly turnon?: readonly [number, number];
    readonly turnoff?: readonly [number, number];
  } | null;
  /** Sites whose visibility follows the state (the stove's `burner`): role → site name. */
  readonly stateSites: Readonly<Record<string, string>>;
}

/** A named region that goals refer to: a box site of the workspace or of an object. */
export interface SceneSite {
  readonly name: string;
  /** The object or fixture it belongs to; null for a region of the workspace. */
  readonly parent: string | null;
  /** Half sizes, metres. */
  readonly size: readonly [number, number, number];
  /** Joints of the body that holds the site (a drawer's slide); null for a region of the workspace. */
  readonly joints: readonly string[] | null;
}

/** Pose of a fixture's root body in the world frame: metres, quaternion wxyz. */
export interface FixturePose {
  readonly pos: readonly [number, number, number];
  readonly quat: readonly [number, number, number, number];
}

/** One composed LIBERO scene with its goal: all that simulator, predicates and observations need. */
export interface Scene {
  /** MJCF text; its `file` attributes are keys of `assets`. */
  readonly mjcf: string;
  /** For each line of the MJCF the file, line and element it comes from: what a compiler's message is about. */
  readonly places: readonly string[];
  /** File name in the MJCF → absolute path on disk. */
  readonly assets: ReadonlyMap<string, string>;
  /** That of its initial states; the compiled model has the same. */
  readonly layout: StateLayout;
  /** In BDDL order, objects before fixtures. */
  readonly objects: readonly SceneObject[];
  readonly sites: readonly SceneSite[];
  /** What the task says of where things are when an episode begins. */
  readonly init: readonly Term[];
  /** Conjunction of terms. */
  readonly goal: readonly Term[];
  /** Arm posture at reset, radians, (7), and finger positions, metres, (2). */
  readonly home: { readonly arm: readonly number[]; readonly fingers: readonly number[] };
  /**
   * Fixture poses of the reset number `resets` (0 for the first) after seeding with `seed`,
   * as the reference draws them from NumPy's global generator; fixture name → pose.
   */
  fixturePoses(seed: number, resets: number): ReadonlyMap<string, FixturePose>;
}
