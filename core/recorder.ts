import type { Computation, Device, Step, Storage, TensorView } from "./device.ts";
import type { DType } from "./dtype.ts";

/** Follows the body of a plan while it runs: is told of each call of an op, and of each look at a tensor's numbers. */
export interface Recorder {
  /**
   * The storage for the result of a call that replays do, which is not done now; null for a call that is done once,
   * now, because nothing that it reads changes from replay to replay.
   */
  promise(
    op: Computation<never>,
    ins: readonly TensorView[],
    device: Device,
    size: number,
    dtype: DType,
  ): Storage | null;
  /** Writes down a call whose result has such a storage. */
  record(step: Step): void;
  /** The body looks at a tensor's numbers on the host: throws when a replay could not do so again. */
  look(tensor: TensorView): void;
}

/** While a plan is captured: who writes its calls down. */
export const capturing: { recorder: Recorder | null } = { recorder: null };

/** Throws while a plan is captured, for what happens on the host: its replays would not do it again. */
export function refuseInCapture(who: string, instead: string): void {
  if (capturing.recorder) {
    throw new Error(`${who}: a plan is being captured, and its replays would not repeat this: ${instead}`);
  }
}
