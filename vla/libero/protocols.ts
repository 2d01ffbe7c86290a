import { EnvError } from "./env-error.ts";
import { baseSuiteOf } from "./suite-names.ts";

/** Seven numbers: translation (3), rotation vector (3), gripper (1, −1 opens, 0 holds, +1 closes), each in [-1, 1]. */
export type Action = readonly [number, number, number, number, number, number, number];

/**
 * Settings of a LIBERO evaluation that change its success rate. There is not one protocol but as many as papers:
 * name yours with every result.
 */
export interface Protocol {
  readonly name: string;
  /** Control steps a policy has, not counting the settling ones: of every LIBERO suite, or per suite. */
  readonly maxSteps: number | Readonly<Record<string, number>>;
  /** Control steps before the policy takes over, in which objects fall onto their supports, and their action. */
  readonly settle: { readonly steps: number; readonly action: Action };
  /** Side of the square pictures, pixels, as rendered: policies resize for themselves. */
  readonly cameraSize: number;
  /** How pictures are turned, seen from LIBERO's own (row 0 at the bottom). */
  readonly turn: "none" | "rotate180";
  readonly episodesPerTask: number;
  /** Actions of a chunk that are executed before the policy is asked again; null: as many as it plans. */
  readonly actionsPerQuery: number | null;
  /**
   * Actions of a chunk that are still to be executed when the policy is asked for the next one, which is then made
   * while they play; its first actions, as many, are over when it takes over. 0: the environment waits for every chunk.
   */
  readonly overlap: number;
}

/** No motion; the gripper keeps its opening. */
const HOLD: Action = [0, 0, 0, 0, 0, 0, 0];
/** No motion; the gripper opens. */
const OPEN: Action = [0, 0, 0, 0, 0, 0, -1];

/** The evaluation of LIBERO's own lifelong-learning code (arXiv:2306.03310). */
export const LIBERO: Protocol = {
  name: "libero",
  maxSteps: 600,
  settle: { steps: 5, action: HOLD },
  cameraSize: 128,
  turn: "none",
  episodesPerTask: 20,
  actionsPerQuery: 1,
  overlap: 0,
};

/** FLOWER (arXiv:2509.04996) and NinA (arXiv:2508.16845). */
export const NINA: Protocol = {
  name: "nina",
  maxSteps: 520,
  settle: { steps: 5, action: HOLD },
  cameraSize: 224,
  turn: "none",
  episodesPerTask: 50,
  actionsPerQuery: 10,
  overlap: 0,
};

/** Longest demonstration of each suite, rounded up. */
const DEMONSTRATED = {
  libero_spatial: 220,
  libero_object: 280,
  libero_goal: 300,
  libero_10: 520,
  libero_90: 400,
};

/**
 * The embedded suite is in no paper's protocol. It has one limit under all of them, what its demonstrations may take:
 * an expert's longest task needs 190 steps, and time is left to try again.
 */
const EMBEDDED: Readonly<Record<string, number>> = { mini: 300 };

/** OpenVLA (arXiv:2406.09246). */
export const OPENVLA: Protocol = {
  name: "openvla",
  maxSteps: DEMONSTRATED,
  settle: { steps: 10, action: OPEN },
  cameraSize: 256,
  turn: "rotate180",
  episodesPerTask: 50,
  actionsPerQuery: 1,
  overlap: 0,
};

/** OpenVLA-OFT (arXiv:2502.19645). */
export const OPENVLA_OFT: Protocol = { ...OPENVLA, name: "openvla-oft", actionsPerQuery: 8 };

/** openpi's client for π₀ (arXiv:2410.24164). */
export const OPENPI: Protocol = { ...OPENVLA, name: "openpi", actionsPerQuery: 5 };

/** LeRobot 0.6: more time for libero_spatial, fewer episodes. */
export const LEROBOT: Protocol = {
  ...OPENVLA,
  name: "lerobot",
  maxSteps: { ...DEMONSTRATED, libero_spatial: 280 },
  episodesPerTask: 10,
  actionsPerQuery: null,
};

/** All presets, by name. */
export const PROTOCOLS: Readonly<Record<string, Protocol>> = Object.fromEntries(
  [LIBERO, NINA, OPENVLA, OPENVLA_OFT, OPENPI, LEROBOT].map((protocol) => [protocol.name, protocol]),
);

/**
 * How many control steps a policy has on a suite; on a variant of LIBERO's suites as many as on that. @throws EnvError
 * if the protocol does not say.
 */
export function maxSteps(protocol: Protocol, suite: string): number {
  if (Object.hasOwn(EMBEDDED, suite)) return EMBEDDED[suite];
  if (typeof protocol.maxSteps === "number") return protocol.maxSteps;
  const base = baseSuiteOf(suite);
  if (base === null || !Object.hasOwn(protocol.maxSteps, base))
    throw new EnvError(
      `maxSteps of protocol "${protocol.name}"`,
      `one of ${Object.keys(protocol.maxSteps).join(", ")}`,
      `"${suite}"`,
    );
  return protocol.maxSteps[base];
}
