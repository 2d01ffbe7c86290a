import { Capture } from "./capture.ts";
import { checkFunction } from "./check.ts";
import { currentDevice, type Device, onDevice, type Program } from "./device.ts";
import { isTracked, tracksGradients } from "./op.ts";
import { refuseInCapture } from "./recorder.ts";
import { sameShape, showShape } from "./shape.ts";
import { CUT, checkTensor, checkTensors, type Tensor } from "./tensor.ts";

/**
 * A forward pass, captured once and replayed in memory of its own.
 *
 * Capture runs `body` once on tensors like the example inputs, but without numbers, and writes down its calls of ops.
 * Calls that do not depend on an input are done, and their results kept. What is left becomes a program of the device
 * of the examples, which does the same operations in the same order and rounding, so replay equals the eager pass bit
 * for bit.
 *
 * `body` must compute by ops alone: looking at numbers that change from replay to replay, drawing random numbers and
 * updating parameters throw while it is captured. What the host decides (branches, numbers read from constants,
 * training mode) is frozen. The plan is one more owner of every tensor and frozen weight that it reads, so these may be
 * freed before it. See docs/plans.md.
 */
export class Plan implements Disposable {
  readonly #inputs: readonly Tensor[];
  readonly #outputs: readonly Tensor[];
  readonly #capture: Capture;
  readonly #program: Program;
  #disposed = false;

  /**
   * `variables` are tensors that `body` reads beside its inputs and whose content changes between replays, such as the
   * parameters of a training step: what depends on them is computed at each replay. All other tensors are constants,
   * whose content must not change any more.
   */
  constructor(
    body: (...inputs: Tensor[]) => Tensor | readonly Tensor[],
    examples: readonly Tensor[],
    variables: readonly Tensor[] = [],
  ) {
    refuseInCapture("Plan", "capture one plan after the other");
    checkFunction(body, "Plan", "body");
    checkTensors(examples, "Plan: examples");
    checkTensors(variables, "Plan: variables");
    const device: Device = examples[0]?.device ?? currentDevice();
    this.#capture = new Capture(device, variables);
    try {
      const { inputs, outputs } = onDevice(device, () => this.#capture.trace(body, examples));
      const { steps, changing } = this.#capture;
      this.#program = device.capture({ steps, inputs, outputs, changing });
      this.#inputs = inputs;
      this.#outputs = outputs;
    } catch (error) {
      this.#capture.dispose();
      throw error;
    }
  }

  /** Kernel calls per replay. */
  get length(): number {
    this.#checkAlive("length");
    return this.#program.length;
  }

  /** Bytes that inputs and results take together. */
  get arenaBytes(): number {
    this.#checkAlive("arenaBytes");
    return this.#program.bytes;
  }

  /**
   * Replays on new inputs of the captured shapes. The results are tensors of the current scope that look at the plan's
   * memory: read them before the next replay, which writes there again. Without history.
   */
  run(...inputs: readonly Tensor[]): readonly Tensor[] {
    this.#checkAlive("run");
    refuseInCapture("Plan.run", "call what the plan was captured from");
    if (inputs.length !== this.#inputs.length) {
      throw new Error(`Plan.run: expected ${this.#inputs.length} inputs, got ${inputs.length}`);
    }
    inputs.forEach((x, i) => {
      checkTensor(x, "Plan.run");
      const slot = this.#inputs[i];
      if (x.dtype !== slot.dtype || !sameShape(x.shape, slot.shape)) {
        const [expected, got] = [slot, x].map((y) => `${y.dtype} ${showShape(y.shape)}`);
        throw new Error(`Plan.run: input ${i}: expected ${expected}, got ${got}`);
      }
      if (x.device !== slot.device) {
        throw new Error(
          `Plan.run: input ${i}: expected a tensor on ${slot.device.name}, got one on ${x.device.name}`,
        );
      }
    });
    this.#program.run(inputs);
    const cut = tracksGradients() && (this.#capture.tracked || inputs.some(isTracked));
    return this.#outputs.map((out) => {
      const result = out.detach();
      if (cut) result.node = CUT;
      return result;
    });
  }

  /** Frees what the plan owns. Its results throw afterwards, and so does all use of it. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#capture.dispose();
    this.#program.dispose();
  }

  #checkAlive(what: string): void {
    if (this.#disposed) throw new Error(`Plan.${what}: the plan was disposed of`);
  }
}
