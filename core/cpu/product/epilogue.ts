import type { Expr } from "../../formula/expr.ts";
import type { KernelCode } from "../kernels/engine.ts";
import { emitFormula } from "../kernels/formula.ts";
import { loadLanes, storeLanes } from "../kernels/lanes.ts";
import { I32 } from "../kernels/values.ts";

/** Some rows and columns of a row-major matrix. */
export interface Submatrix {
  /** Address of its first number. */
  readonly out: I32;
  /** Address of the number that goes with it, when a residual is added. */
  readonly residual: I32 | null;
  /** Columns of the whole matrix. */
  readonly N: I32;
  readonly rows: I32;
  readonly columns: I32;
  /** Columns behind the last whole vector, when there are any. */
  readonly lanesLeft: number;
}

/** part = activation(part) + residual, of a product whose sums are finished and still in the cache. */
export function applyEpilogue(code: KernelCode, activation: Expr, part: Submatrix): void {
  const { f } = code;
  const { out, residual, N, rows, lanesLeft } = part;
  const [row, column] = f.locals(I32, 2);
  const columns = f.let(part.columns);
  const fours = f.let(lanesLeft ? columns.and(-4) : columns);
  const apply = (lanes: number): void => {
    const place = f.let(row.mul(N).add(column).shl(2));
    const at = f.let(out.add(place));
    const active = emitFormula(code, activation, [f.let(loadLanes(at, lanes))], []);
    const value = residual ? active.add(loadLanes(f.let(residual.add(place)), lanes)) : active;
    storeLanes(f, at, f.let(value), lanes);
  };
  f.range(row, 0, f.let(rows), 1, () => {
    f.range(column, 0, fours, 4, () => apply(4));
    if (lanesLeft) f.if(column.lt(columns), () => apply(lanesLeft));
  });
}
