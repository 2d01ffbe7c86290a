/** What is opened and turned by hand, by category: lengths in metres, in the frame of the joint's own body. */
import type { Vector } from "./vector.ts";

/** A bar across a drawer's front. */
export interface Pull {
  /** Name of the drawer's body and of its slide, after the fixture's own. */
  readonly body: string;
  readonly joint: string;
  /** Middle of the bar. */
  readonly bar: Vector;
  /** Out of the cabinet, in its frame. */
  readonly out: Vector;
}

/** A bar that stands on a knob, which turns about its body's z. */
export interface Knob {
  readonly body: string;
  readonly joint: string;
  /** Where the grip site goes. */
  readonly at: Vector;
  /** What the fingers close across. */
  readonly across: Vector;
}

const OUT: Vector = [0, -1, 0];

export const PULLS: Readonly<Record<string, readonly Pull[]>> = {
  wooden_cabinet: [
    { body: "cabinet_top", joint: "top_level", bar: [-0.003, -0.102, 0.184], out: OUT },
    { body: "cabinet_middle", joint: "middle_level", bar: [-0.003, -0.102, 0.11], out: OUT },
  ],
};

export const KNOBS: Readonly<Record<string, Knob>> = {
  flat_stove: { body: "button", joint: "button", at: [0.001, 0.005, 0.042], across: [1, 0, 0] },
};
