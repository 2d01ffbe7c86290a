/** Sums along axes. */
import type { Ready, TensorView } from "../../device.ts";
import { broadcastStrides, type Shape } from "../../shape.ts";
import { addressOf } from "../storage.ts";
import { wasmCall } from "./call.ts";
import { type KernelCode, kernel } from "./engine.ts";
import { loadTail, storeTail, sumLanes } from "./lanes.ts";
import { load } from "./loads.ts";
import { accumulators, alongRow, combined } from "./rows.ts";
import { F32x4, I32, int } from "./values.ts";

/** Terms that are added one after another before they join the total: keeps the rounding error of long sums small. */
const BLOCK = 256;
/** Columns that one tile of a sum over rows covers: eight vectors, two cache lines. */
const COLUMNS = 32;

/**
 * Sums x over the axes along which a tensor of shape `to` would be repeated. Serves sums over neighbouring axes
 * (leading, last, middle or all); null otherwise.
 */
export function sumToWasm(out: TensorView, x: TensorView, to: Shape): Ready | null {
  if (x.size === 0 || x.dtype !== "float32") return null;
  const kept = broadcastStrides(to, x.shape);
  const groups: { summed: boolean; length: number }[] = [];
  x.shape.forEach((length, axis) => {
    if (length === 1) return;
    const summed = kept[axis] === 0;
    const last = groups.at(-1);
    if (last?.summed === summed) last.length *= length;
    else groups.push({ summed, length });
  });
  const pattern = groups.map((group) => (group.summed ? "s" : "k")).join("");
  const lengths = groups.map((group) => group.length);
  const cost = x.size * 0.0003;
  if (pattern === "s" || pattern === "ks" || pattern === "" || pattern === "k") {
    // Sums along rows; without a summed axis every number is a row of its own.
    const count = groups.at(-1)?.summed ? (lengths.at(-1) as number) : 1;
    return wasmCall(kernel("row sums", 3, rowSumCode), [addressOf(out), addressOf(x), count], out.size, cost);
  }
  if (pattern === "sk" || pattern === "ksk") {
    const [summed, columns] = lengths.slice(-2);
    const perGroup = Math.ceil(columns / COLUMNS);
    const tiles = (out.size / columns) * perGroup;
    const args = [addressOf(out), addressOf(x), summed, columns, perGroup];
    return wasmCall(kernel("column sums", 5, columnSumCode), args, tiles, cost);
  }
  return null;
}

/** out[row] = Σ x[row][·] */
function rowSumCode({ f, args, tileBegin, tileEnd }: KernelCode): void {
  const [out, x, count] = args;
  const [row, read, left] = f.locals(I32, 3);
  const total = f.local(F32x4);
  f.range(row, tileBegin, tileEnd, 1, () => {
    f.set(read, x.add(row.mul(count).shl(2)));
    f.set(left, count);
    f.set(total, f.constant(0));
    f.repeatWhile(
      () => {
        const length = f.let(left.min(f.let(int(16 * BLOCK))));
        const sums = accumulators(f, 4, f.constant(0));
        alongRow(f, {
          pointers: [read],
          count: length,
          slots: 4,
          vector: (offset, slot) => f.set(sums[slot], sums[slot].add(load(F32x4, read, offset))),
          tail: (lanes) => f.set(sums[0], sums[0].add(loadTail(f, read, lanes))),
        });
        f.set(total, total.add(combined(f, sums, (a, b) => a.add(b))));
        f.set(left, left.sub(length));
      },
      () => left,
    );
    f.store(out.add(row.shl(2)), sumLanes(f, total).lane(0));
  });
}

/** out[group][column] = Σ x[group][·][column]; a tile is up to COLUMNS columns of a group. */
function columnSumCode({ f, args, tileBegin, tileEnd }: KernelCode): void {
  const [out, x, count, columns, perGroup] = args;
  const [tile, read, left, write, step] = f.locals(I32, 5);
  const pitch = f.let(columns.shl(2));
  /** Sums `vectors` vectors of columns at `read`, or `lanes` single ones. */
  const sum = (vectors: number, lanes: I32 | null) => {
    const from = f.let(read);
    const totals = accumulators(f, vectors, f.constant(0));
    f.set(left, count);
    f.repeatWhile(
      () => {
        f.set(step, left.min(f.let(int(BLOCK))));
        f.set(left, left.sub(step));
        const sums = accumulators(f, vectors, f.constant(0));
        f.repeatWhile(
          () => {
            sums.forEach((part, v) => {
              f.set(part, part.add(lanes ? loadTail(f, from, lanes) : load(F32x4, from, 16 * v)));
            });
            f.bump(from, pitch);
            f.set(step, step.sub(1));
          },
          () => step,
        );
        totals.forEach((total, v) => {
          f.set(total, total.add(sums[v]));
        });
      },
      () => left,
    );
    totals.forEach((total, v) => {
      if (lanes) storeTail(f, write, total, lanes);
      else f.store(write, total, 16 * v);
    });
  };
  f.range(tile, tileBegin, tileEnd, 1, () => {
    const group = f.let(tile.div(perGroup));
    const column = f.let(tile.rem(perGroup).mul(COLUMNS));
    f.set(read, x.add(group.mul(count).mul(columns).add(column).shl(2)));
    f.set(write, out.add(group.mul(columns).add(column).shl(2)));
    const width = f.let(columns.sub(column));
    f.if(
      width.ge(COLUMNS),
      () => sum(COLUMNS / 4, null),
      () => {
        const end = f.let(write.add(width.and(-4).shl(2)));
        f.block((done) =>
          f.loop((again) => {
            f.branchIf(write.eq(end), done);
            sum(1, null);
            f.bump(read, 16);
            f.bump(write, 16);
            f.branch(again);
          }),
        );
        const lanes = f.let(width.and(3));
        f.if(lanes, () => sum(1, lanes));
      },
    );
  });
}
