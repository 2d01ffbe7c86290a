import type { Block, Step } from "./device.ts";

/** What is told of the kernel calls of a body, and of what it does beside them. */
export interface Recorder {
  /** Runs the kernel, and writes the call down. */
  run(step: Step, kernel: () => void): void;
  /** The body looks at a tensor's numbers on the host: throws when a replay could not do so again. */
  look(tensor: Block): void;
}

/** While a plan is captured: who writes its calls down. */
export const capturing: { recorder: Recorder | null } = { recorder: null };

/** Throws while a plan is captured, for what happens on the host: its replays would not do it again. */
export function refuseInCapture(who: string, instead: string): void {
  if (capturing.recorder) {
    throw new Error(`${who}: a plan is being captured, and its replays would not repeat this: ${instead}`);
  }
}
