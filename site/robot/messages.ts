/** What the page and its worker tell each other. */

/** A place on the picture of agentview: from 0 at its left and top end to 1 at its right and bottom end. */
export type Point = readonly [x: number, y: number];

/** What the page asks for. */
export type Command =
  /** Ends what is played, and opens a start of a task, at rest. */
  | { readonly do: "open"; readonly task: string; readonly init: number }
  /** `paced`: no faster than the robot would move. */
  | { readonly do: "play"; readonly paced: boolean }
  | { readonly do: "pause" }
  /** One control step. */
  | { readonly do: "step" }
  /** What the policy is told from the next chunk on. */
  | { readonly do: "say"; readonly words: string }
  /** Takes hold of what can be moved there. */
  | { readonly do: "grab"; readonly at: Point }
  | { readonly do: "drag"; readonly at: Point }
  | { readonly do: "drop" }
  /** Moves an object on the table, metres: x away from the robot, y to its left. */
  | { readonly do: "nudge"; readonly object: string; readonly by: readonly [dx: number, dy: number] }
  /** Which chunk's way through the flow is shown. */
  | { readonly do: "inspect"; readonly chunk: number }
  /** Who computes: "cpu" or the name of a `FoundDevice`. */
  | { readonly do: "compute"; readonly device: string };

export interface TaskInfo {
  readonly name: string;
  readonly instruction: string;
  readonly starts: number;
}

/** A picture with rows from the top, RGBA. */
export interface Picture {
  readonly side: number;
  readonly pixels: Uint8ClampedArray<ArrayBuffer>;
}

/** A chunk of actions and what the policy knows of it. */
export interface ChunkInfo {
  readonly index: number;
  /** Control steps before it. */
  readonly step: number;
  readonly words: string;
  /** log p(chunk | seen), nats. */
  readonly logProb: number;
}

/** The way from noise to a chunk, layer by layer as `inverse` goes: see inspector.ts. */
export interface Layers {
  readonly chunk: number;
  readonly steps: number;
  readonly width: number;
  /** How the other draws' noise is spread, and the policy's own. */
  readonly temperature: number;
  readonly stages: readonly Stage[];
}

export interface Stage {
  /** The layer that has just been undone; null for the noise itself. */
  readonly layer: string | null;
  /** log |det| of what the layer did to the policy's own draw, nats. */
  readonly logDet: number;
  /** Draws of steps · width numbers each, the policy's own first. */
  readonly draws: readonly Float32Array[];
}

export interface Outcome {
  readonly outcome: "success" | "failure" | "error";
  readonly error?: string;
  readonly steps: number;
  /** SHA-256 of the way the simulation took. */
  readonly trajectoryHash: string;
  /** Whether somebody moved an object or changed the words on the way. */
  readonly touched: boolean;
}

/** A GPU that can be had. */
export interface FoundDevice {
  readonly name: string;
  readonly driver: string;
}

/** What the worker tells. */
export type News =
  | { readonly is: "loading"; readonly words: string }
  | { readonly is: "ready"; readonly tasks: readonly TaskInfo[]; readonly engine: string }
  | {
      readonly is: "opened";
      readonly instruction: string;
      readonly objects: readonly string[];
      readonly maxSteps: number;
    }
  | {
      readonly is: "seen";
      readonly step: number;
      readonly agentview: Picture;
      readonly wrist: Picture;
      /** Which of the goal's terms hold now. */
      readonly goal: readonly { readonly term: string; readonly holds: boolean }[];
      /** Milliseconds of the last control step: physics, and the policy if it was asked. */
      readonly cost: { readonly simulate: number; readonly policy: number };
    }
  | { readonly is: "chunk"; readonly chunk: ChunkInfo }
  | { readonly is: "layers"; readonly layers: Layers }
  | { readonly is: "grabbed"; readonly object: string | null }
  | { readonly is: "ended"; readonly ended: Outcome }
  | { readonly is: "broken"; readonly message: string };
