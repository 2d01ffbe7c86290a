import { grad, Scope, Tensor } from "../../core/index.ts";
import type { Mapped } from "../bijector.ts";

/**
 * ∂map/∂x at one sample (1, …event), an N × N row-major matrix, by reverse mode. The sample is repeated N times, so
 * that one backward pass gives all rows: it relies on samples of a batch not touching each other (`laws.batch`). Throws
 * where the output has no gradient path to x. On cpu.
 */
export function sampleJacobian(
  map: (x: Tensor, condition?: Tensor) => Mapped,
  x: Tensor,
  condition?: Tensor,
): Float64Array {
  using _ = new Scope();
  const N = x.size;
  const repeated = (t: Tensor): Tensor => t.broadcastTo([N, ...t.shape.slice(1)]);
  const points = repeated(x).detach().tracked();
  const { out } = map(points, condition && repeated(condition));
  const [rows] = grad(out, [points], { dy: Tensor.eye(N, x.dtype).reshape(out.shape) });
  if (!rows) throw new Error("sampleJacobian: no gradient path from the output to its input");
  return Float64Array.from(rows.data);
}
