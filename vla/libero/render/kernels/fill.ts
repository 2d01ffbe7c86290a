import {
  type Callable,
  double,
  F32,
  F32x4,
  F64,
  F64x2,
  type Func,
  I32,
  I32x4,
  int,
  type Library,
  type Local,
  load,
  loadTwo,
  type Nothing,
} from "../../../../core/index.ts";
import { FRAME } from "../layout.ts";
import { COLUMNS, SAMPLES } from "../samples.ts";
import { readEdges } from "./edges.ts";
import { frame, frameNumber } from "./frame.ts";

/**
 * Whether what a sample shows is later than a triangle of a record; keeps a fragment of a blended one: see raster.ts.
 */
type IsLater = Callable<[typeof I32, typeof I32], I32>;
type KeepFragment = Callable<[typeof I32, typeof I32], Nothing>;
type Fill = Callable<[typeof I32, typeof I32, typeof I32, typeof I32, typeof I32, typeof I32], I32>;

/** What both ways to fill look up once. */
function takeTarget(f: Func) {
  const [depth, shown, touched, behind, blended, width] = [
    FRAME.depth,
    FRAME.shown,
    FRAME.touched,
    FRAME.behind,
    FRAME.blended,
    FRAME.width,
  ].map((at) => f.let(frame(at)));
  const nearest = f.let(frameNumber(FRAME.nearest));
  const farthest = f.let(frameNumber(FRAME.farthest));
  return { depth, shown, touched, behind, blended, width, nearest, farthest };
}

/** Looks at the samples of a bounding box, row by row; 1 if the triangle won any. */
export function defineFillSmall(library: Library, isLater: IsLater, keep: KeepFragment): Fill {
  return library.define(
    "fillSmall",
    [I32, I32, I32, I32, I32, I32],
    I32,
    (f, record, logged, firstColumn, lastColumn, firstRow, lastRow) => {
      const [a, b, c] = readEdges(f, record);
      const { depth, shown, touched, behind, blended, width, nearest, farthest } = takeTarget(f);
      const zero = f.let(F64x2.splat(0));
      const [seen, row, x] = f.locals(I32, 3);
      const endRow = f.let(lastRow.add(1));
      f.range(row, firstRow, endRow, 1, () => {
        const s = f.let(row.and(3));
        const column = f.let(int(COLUMNS).shr(s.shl(1)).and(3));
        // From the pixel's corner to the sample.
        const [sampleX, sampleY] = [column, s].map((at) => f.let(at.toF64().add(0.5).mul(0.25)));
        const shift = f.let(a.pair.mul(sampleX.splat()).add(b.pair.mul(sampleY.splat())));
        const shiftLast = f.let(a.last.mul(sampleX).add(b.last.mul(sampleY)));
        const y = f.let(row.shr(2));
        const yNumber = f.let(y.toF64());
        const [along, alongLast] = [f.let(b.pair.mul(yNumber.splat())), f.let(b.last.mul(yNumber))];
        f.set(x, firstColumn.add(column.sub(firstColumn).and(3)).shr(2));
        const end = f.let(lastColumn.sub(column).shrSigned(2).add(1));
        const pixel = f.let(y.mul(width).add(x));
        f.block((done) =>
          f.loop((again) => {
            f.branchIf(x.ltSigned(end).eq(0), done);
            f.block((next) => {
              const xNumber = f.let(x.toF64());
              const pair = f.let(a.pair.mul(xNumber.splat()).add(along).add(c.pair).add(shift));
              f.branchIf(pair.lt(zero).any(), next);
              const last = f.let(a.last.mul(xNumber).add(alongLast).add(c.last).add(shiftLast));
              f.branchIf(last.lt(0), next);
              const inverse = f.let(pair.lane(0).add(pair.lane(1)).add(last));
              const sample = f.let(pixel.mul(SAMPLES).add(s));
              const at = f.let(sample.shl(2));
              const held = f.let(load(F32, depth.add(at)));
              const rounded = f.let(inverse.toF32());
              f.branchIf(rounded.lt(held), next);
              f.branchIf(inverse.gt(nearest).or(inverse.lt(farthest)), next);
              f.if(behind, () => f.branchIf(inverse.gt(load(F32, behind.add(at)).toF64()), next));
              f.if(
                blended,
                () => {
                  f.branchIf(inverse.lt(held.toF64()), next); // farther, if only by less than held's rounding
                  f.do(keep(sample, logged));
                },
                () => {
                  f.if(rounded.eq(held), () => f.branchIf(isLater(load(I32, shown.add(at)), record), next));
                  f.store(depth.add(at), rounded);
                  f.store(shown.add(at), logged);
                  f.storeByte(touched.add(pixel), int(1));
                },
              );
              f.set(seen, int(1));
            });
            f.bump(x, 1);
            f.bump(pixel, 1);
            f.branch(again);
          }),
        );
      });
      return seen;
    },
  );
}

/** The same for a box of pixels, of which each row is visited between the edges only; four samples at once. */
export function defineFillWide(library: Library, isLater: IsLater, keep: KeepFragment): Fill {
  return library.define(
    "fillWide",
    [I32, I32, I32, I32, I32, I32],
    I32,
    (f, record, logged, left, right, bottom, top) => {
      const [a, b, c] = readEdges(f, record);
      const edges = [0, 1, 2].map((i) => {
        const own = (e: { pair: Local<F64x2>; last: Local<F64> }): Local<F64> =>
          i < 2 ? f.let(e.pair.lane(i)) : e.last;
        return { a: own(a), b: own(b), c: own(c) };
      });
      const { depth, shown, touched, behind, blended, width, nearest, farthest } = takeTarget(f);
      const zero = f.let(F64x2.splat(0));
      const [near, far] = [f.let(nearest.splat()), f.let(farthest.splat())];
      const color = f.let(logged.splat());
      // What an edge function gains from the pixel's corner to each sample, two at a time, and at most.
      const constants = (of: (s: number) => number, s: number): F64x2 =>
        F64x2.splat(of(s)).withLane(1, double(of(s + 1)));
      const columnOf = (s: number): number => (((COLUMNS >> (2 * s)) & 3) + 0.5) / 4;
      const rowOf = (s: number): number => (s + 0.5) / 4;
      const offsets = edges.map((edge) =>
        [0, 2].map((s) =>
          f.let(
            edge.a
              .splat()
              .mul(constants(columnOf, s))
              .add(edge.b.splat().mul(constants(rowOf, s))),
          ),
        ),
      );
      const reach = offsets.map(([p, q]) => {
        const two = f.let(p.pmax(q));
        return f.let(two.pmax(two.swapped()).lane(0));
      });
      const steps = edges.map((edge) => f.let(double(-1).div(edge.a)));
      const [seen, x, y] = f.locals(I32, 3);
      const [from, to] = f.locals(F64, 2);
      const endY = f.let(top.add(1));
      f.range(y, bottom, endY, 1, () => {
        f.block((nextRow) => {
          // Where does each edge function stay non-negative for some sample of the pixel?
          const yNumber = f.let(y.toF64());
          f.set(from, left.toF64());
          f.set(to, right.toF64());
          const rows = edges.map((edge) => f.let(edge.b.mul(yNumber)));
          edges.forEach((edge, i) => {
            const q = f.let(rows[i].add(edge.c).add(reach[i]));
            const zeroAt = f.let(q.mul(steps[i]));
            f.if(
              edge.a.gt(0),
              () => f.set(from, from.splat().pmax(zeroAt.sub(1e-6).ceil().splat()).lane(0)),
              () =>
                f.if(
                  edge.a.lt(0),
                  () => f.set(to, to.splat().pmin(zeroAt.add(1e-6).floor().splat()).lane(0)),
                  () => f.branchIf(q.lt(0), nextRow),
                ),
            );
          });
          f.branchIf(from.le(to).eq(0), nextRow);
          f.set(x, from.toI32());
          const end = f.let(to.toI32().add(1));
          const pixel = f.let(y.mul(width).add(x));
          f.range(x, x, end, 1, () => {
            f.block((next) => {
              const xNumber = f.let(x.toF64());
              const sums = edges.map((edge, i) =>
                f.let(edge.a.mul(xNumber).add(rows[i]).add(edge.c).splat()),
              );
              const weights = [0, 1].map((half) => sums.map((sum, i) => f.let(sum.add(offsets[i][half]))));
              const outside = weights.map(([w0, w1, w2]) => w0.lt(zero).or(w1.lt(zero)).or(w2.lt(zero)));
              const fails = f.let(outside[0].shuffle(outside[1], [0, 2, 4, 6]));
              f.branchIf(fails.all(), next);
              const inverse = weights.map(([w0, w1, w2]) => f.let(w0.add(w1).add(w2)));
              const rounded = f.let(inverse[0].toF32x4().shuffle(inverse[1].toF32x4(), [0, 1, 4, 5]));
              const at = f.let(pixel.mul(4 * SAMPLES));
              const held = f.let(load(F32x4, depth.add(at)));
              const beyond = inverse.map((two) => two.gt(near).or(two.lt(far)));
              f.set(fails, fails.or(rounded.lt(held)).or(beyond[0].shuffle(beyond[1], [0, 2, 4, 6])));
              f.if(behind, () => {
                const [p, q] = [0, 8].map((k) => loadTwo(behind.add(at), k).lowToF64());
                const nearer = inverse[0].gt(p).shuffle(inverse[1].gt(q), [0, 2, 4, 6]);
                f.set(fails, fails.or(nearer));
              });
              f.branchIf(fails.all(), next);
              f.if(
                blended,
                () => {
                  for (let s = 0; s < SAMPLES; s++) {
                    f.block((skip) => {
                      f.branchIf(fails.lane(s), skip);
                      // Farther, if only by less than held's rounding.
                      f.branchIf(inverse[s >> 1].lane(s & 1).lt(held.lane(s).toF64()), skip);
                      f.do(keep(pixel.mul(SAMPLES).add(s), logged));
                      f.set(seen, int(1));
                    });
                  }
                  f.branch(next);
                },
                () => {
                  const ties = f.let(rounded.eq(held).andNot(fails));
                  f.if(ties.any(), () => {
                    for (let s = 0; s < SAMPLES; s++) {
                      f.if(ties.lane(s), () => {
                        const later = int(0).sub(isLater(load(I32, shown.add(at), 4 * s), record));
                        f.set(fails, fails.withLane(s, later));
                      });
                    }
                    f.branchIf(fails.all(), next);
                  });
                },
              );
              f.store(depth.add(at), fails.select<F32x4>(held, rounded));
              f.store(shown.add(at), fails.select<I32x4>(load(I32x4, shown.add(at)), color));
              f.storeByte(touched.add(pixel), int(1));
              f.set(seen, int(1));
            });
            f.bump(pixel, 1);
          });
        });
      });
      return seen;
    },
  );
}
