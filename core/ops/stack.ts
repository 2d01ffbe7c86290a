import { resolveAxis, sameShape, showShape } from "../shape.ts";
import { checkTensors, type Tensor } from "../tensor.ts";
import { concat } from "./concat.ts";
import { unsqueeze } from "./unsqueeze.ts";

/** Puts tensors of one shape side by side along a new axis. */
export function stack(tensors: readonly Tensor[], axis: number): Tensor {
  checkTensors(tensors, "stack");
  if (tensors.length === 0) throw new Error("stack: expected one tensor at least, got none");
  const [{ shape }] = tensors;
  if (tensors.some((x) => !sameShape(x.shape, shape))) {
    const list = tensors.map((x) => showShape(x.shape)).join(", ");
    throw new Error(`stack: expected tensors of one shape, got ${list}`);
  }
  const at = resolveAxis(axis, shape.length + 1, "stack");
  return concat(
    tensors.map((x) => unsqueeze(x, at)),
    at,
  );
}
