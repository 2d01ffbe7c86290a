/** Permutation of axes: runs that stay together are copied, two axes that trade places are transposed in blocks. */
import type { Ready, TensorView } from "../../device.ts";
import { Expr } from "../../formula/expr.ts";
import { stridesOf } from "../../shape.ts";
import { addressOf } from "../storage.ts";
import { wasmCall } from "./call.ts";
import { type Axis, axisArgs, elementwiseCode, mergedAxes, walkTo } from "./elementwise.ts";
import { type KernelCode, kernel } from "./engine.ts";
import { transposeFour } from "./lanes.ts";
import { load, loadOne } from "./loads.ts";
import { F32x4, I32 } from "./values.ts";

/** Input columns that one tile of a transposition covers: one cache line. */
const COLUMNS = 16;

/** Axis i of `out` is axis order[i] of x. For any element of four bytes. */
export function permuteWasm(out: TensorView, x: TensorView, order: readonly number[]): Ready | null {
  if (out.size === 0 || x.dtype === "float64") return null;
  const own = stridesOf(x.shape);
  const axes = mergedAxes(out.shape, [order.map((axis) => own[axis])]);
  const last = axes.pop() as Axis;
  const cost = out.size * 0.0005;
  if (last.strides[0] <= 1) {
    const args = [addressOf(out), last.length, addressOf(x), ...axisArgs(axes)];
    const code = kernel(`copy rows ${axes.length}`, 3 + 2 * axes.length, (k) =>
      elementwiseCode(k, Expr.input(0), [true], 0, axes.length),
    );
    const tiles = axes.reduce((product, axis) => product * axis.length, 1);
    return wasmCall(code, args, axes.length === 0 ? Math.ceil(last.length / 4096) : tiles, cost);
  }
  // The input's innermost axis is somewhere among the outer loops: it trades places with the output's.
  const outSteps = new Map<Axis, number>();
  for (let i = axes.length - 1, step = last.length; i >= 0; i--) {
    outSteps.set(axes[i], step);
    step *= axes[i].length;
  }
  const inner = axes.find((axis) => axis.strides[0] === 1) as Axis;
  const outer = axes
    .filter((axis) => axis !== inner)
    .map((axis) => ({ length: axis.length, strides: [axis.strides[0], outSteps.get(axis) as number] }));
  const blocks = Math.ceil(inner.length / COLUMNS);
  const args = [
    addressOf(x),
    addressOf(out),
    inner.length,
    last.length,
    4 * last.strides[0],
    4 * (outSteps.get(inner) as number),
    blocks,
    ...axisArgs(outer),
  ];
  const code = kernel(`transpose ${outer.length}`, 7 + 3 * outer.length, (k) => transposeCode(k));
  return wasmCall(code, args, blocks * outer.reduce((product, axis) => product * axis.length, 1), cost);
}

/**
 * out[column][row] = x[row][column], for `columns` columns and `rows` rows. A tile is COLUMNS columns of one
 * transposition; the loops around are walked by tile number.
 */
function transposeCode({ f, args, tileBegin, tileEnd }: KernelCode): void {
  const [x, out, columns, rows, rowStep, columnStep, blocks, ...outer] = args;
  const [tile, column, row] = f.locals(I32, 3);
  const fullRows = f.let(rows.and(-4));
  f.range(tile, tileBegin, tileEnd, 1, () => {
    const [from, to] = walkTo(f, tile.div(blocks), outer, [x, out]);
    const first = f.let(tile.rem(blocks).mul(COLUMNS));
    const end = f.let(f.let(first.add(COLUMNS)).min(columns));
    const fullEnd = f.let(end.and(-4));
    const single = () => {
      const value = loadOne(from.add(row.mul(rowStep)).add(column.shl(2)));
      f.storeLane(to.add(column.mul(columnStep)).add(row.shl(2)), f.let(value), 0);
    };
    f.range(row, 0, fullRows, 4, () => {
      f.range(column, first, fullEnd, 4, () => {
        const read = [f.let(from.add(row.mul(rowStep)).add(column.shl(2)))];
        const write = [f.let(to.add(column.mul(columnStep)).add(row.shl(2)))];
        for (let i = 1; i < 4; i++) {
          read.push(f.let(read[i - 1].add(rowStep)));
          write.push(f.let(write[i - 1].add(columnStep)));
        }
        const four = read.map((address) => load(F32x4, address));
        transposeFour(f, four).forEach((column, i) => {
          f.store(write[i], column);
        });
      });
    });
    // Columns and rows that do not fill a block.
    f.range(column, fullEnd, end, 1, () => f.range(row, 0, rows, 1, single));
    f.range(column, first, fullEnd, 1, () => f.range(row, fullRows, rows, 1, single));
  });
}
