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
  loadByte,
  loadTwo,
  Nothing,
} from "../../../../core/index.ts";
import { FRAGMENT_BYTES, FRAME, POINT, POINT_BYTES, TRIANGLE, TRIANGLE_BYTES } from "../layout.ts";
import { COLUMNS, holdsSample, SAMPLES } from "../samples.ts";
import { TILE_BITS } from "../tiles.ts";

/** Triangles wider than this many sample columns get exact spans of each row instead of their bounding box. */
const WIDE = 12;

const frame = (at: number): I32 => load(I32, int(0), at);
const frameNumber = (at: number): F64 => load(F64, int(0), at);
const framePair = (at: number): F64x2 => load(F64x2, int(0), at);

/**
 * Which triangle each sample sees. Edge functions are planes over the picture,
 *
 *   eᵢ(x, y) = aᵢ x + bᵢ y + cᵢ      with  Σ eᵢ = 1/depth  and  eᵢ / Σ eⱼ = perspective-correct weight of corner i,
 *
 * so the same nine numbers answer coverage (all eᵢ ≥ 0), depth and interpolation, and they exist also for triangles
 * that reach behind the eye: nothing is ever clipped into new triangles. The nearest wins, compared as float32; of
 * equals the one that comes last, by part and then by number in its surface. So the order of drawing does not matter.
 *
 * `drawCluster(points, pointCount, corners, numbers, place, count, logged)` draws the front-facing ones of `count`
 * triangles of a cluster, from its `place`, with `logged` triangles in the log, and returns how many there are then.
 */
export function defineRaster(library: Library, moreFragments: Callable<[], Nothing>): PartOf {
  const partOf = definePartOf(library);
  const isLater = defineIsLater(library, partOf);
  const keep = defineKeepFragment(library, moreFragments);
  const fillSmall = defineFillSmall(library, isLater, keep);
  const fillWide = defineFillWide(library, isLater, keep);
  const note = defineNote(library);
  const project = defineProject(library);
  const setEdges = defineSetEdges(library);
  const setEdgesAcrossNear = defineSetEdgesAcrossNear(library);

  /** Fills the triangle behind the log's end, in a box of sample columns and rows; 1 if it won any sample. */
  const fill = library.define(
    "fill",
    [I32, I32, I32, I32, I32, I32, I32],
    I32,
    (f, logged, place, number, firstColumn, lastColumn, firstRow, lastRow) => {
      const record = f.let(frame(FRAME.log).add(logged.mul(TRIANGLE_BYTES)));
      f.store(record, frame(FRAME.part), TRIANGLE.part);
      f.store(record, place, TRIANGLE.place);
      f.store(record, number, TRIANGLE.number);
      const seen = f.local(I32);
      const box = [firstColumn, lastColumn, firstRow, lastRow] as const;
      f.if(
        lastColumn.sub(firstColumn).gtSigned(WIDE),
        () => {
          const [left, right, bottom, top] = box.map((at) => at.shr(2));
          f.set(seen, fillWide(record, logged, left, right, bottom, top));
        },
        () => f.set(seen, fillSmall(record, logged, ...box)),
      );
      f.if(seen.and(frame(FRAME.blended).eq(0)), () => f.do(note(...box)));
      return seen;
    },
  );

  library.define(
    "drawCluster",
    [I32, I32, I32, I32, I32, I32, I32],
    I32,
    (f, points, pointCount, corners, numbers, place, count, logged) => {
      const projected = f.let(frame(FRAME.points));
      const before = f.let(project(points, pointCount));
      const [least, most] = [f.let(framePair(FRAME.least)), f.let(framePair(FRAME.most))];
      const [four, half] = [f.let(F64x2.splat(4)), f.let(F64x2.splat(0.5))];
      const turn = f.let(frameNumber(FRAME.turn));
      const nearest = f.let(frameNumber(FRAME.nearest));
      const holds = f.let(frame(FRAME.holds));
      const end = f.let(place.add(count));
      f.range(place, place, end, 1, () => {
        f.block((next) => {
          const [p0, p1, p2] = [0, 1, 2].map((k) =>
            f.let(projected.add(loadByte(corners, k).mul(POINT_BYTES))),
          );
          const [v0, v1, v2] = [p0, p1, p2].map((p) => f.let(load(F64x2, p, POINT.pixel)));
          const [first, final] = f.locals(I32x4, 2);
          f.block((inside) => {
            f.branchIf(before, inside);
            const ins = [p0, p1, p2].map((p) => {
              const inverse = f.let(load(F64, p, POINT.inverse));
              return f.let(inverse.gt(0).and(inverse.le(nearest)));
            });
            f.branchIf(ins[0].and(ins[1]).and(ins[2]), inside);
            f.branchIf(ins[0].or(ins[1]).or(ins[2]).eq(0), next);
            // On both sides of the near plane: it may cover all of the picture.
            f.branchIf(setEdgesAcrossNear(logged, p0, p1, p2).eq(0), next);
            f.set(first, least.toI32x4());
            f.set(final, most.toI32x4());
            const box = [first.lane(0), final.lane(0), first.lane(1), final.lane(1)] as const;
            f.bump(logged, fill(logged, place, load(I32, numbers), ...box));
            f.branch(next);
          });
          const [u, v] = [f.let(v1.sub(v0)), f.let(v2.sub(v0))];
          const products = f.let(u.mul(v.swapped()));
          const area = f.let(products.lane(0).sub(products.lane(1)));
          // Samples lie on quarter columns and rows: (i + 1/2) / 4 pixels.
          const from = f.let(least.pmax(v0.pmin(v1).pmin(v2).mul(four).sub(half).ceil()));
          const to = f.let(most.pmin(v0.pmax(v1).pmax(v2).mul(four).sub(half).floor()));
          // One branch that is often taken costs less than two that the processor cannot foresee.
          const turned = area.mul(turn).lt(0).eq(0);
          f.branchIf(from.gt(to).any().or(turned), next);
          f.set(first, from.toI32x4());
          f.set(final, to.toI32x4());
          const [firstColumn, firstRow] = [f.let(first.lane(0)), f.let(first.lane(1))];
          const [columns, rows] = [f.let(final.lane(0).sub(firstColumn)), f.let(final.lane(1).sub(firstRow))];
          const entry = columns.shl(6).or(rows.shl(4)).or(firstColumn.and(3).shl(2)).or(firstRow.and(3));
          f.if(columns.or(rows).lt(4), () => f.branchIf(loadByte(holds.add(entry)).eq(0), next));
          f.do(setEdges(logged, p0, p1, p2, area));
          const box = [firstColumn, final.lane(0), firstRow, final.lane(1)] as const;
          f.bump(logged, fill(logged, place, load(I32, numbers), ...box));
        });
        f.bump(corners, 3);
        f.bump(numbers, 4);
      });
      return logged;
    },
  );
  return partOf;
}

/** What `holdsSample` says of boxes of up to four columns and rows: 64 (columns - 1) + 16 (rows - 1) + 4 (first column & 3) + (first row & 3). */
export function holdsTable(): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, i) => {
    const [column, row] = [(i >> 2) & 3, i & 3];
    return holdsSample(column, column + (i >> 6), row, row + ((i >> 4) & 3)) ? 1 : 0;
  });
}

/** Projects points to `FRAME.points`; 1 if all lie between the eye's near plane and infinity. */
function defineProject(library: Library) {
  return library.define("project", [I32, I32], I32, (f, points, count) => {
    const columns = [0, 1, 2, 3].map((k) => f.let(framePair(FRAME.columns + 16 * k)));
    const depths = [0, 1, 2, 3].map((k) => f.let(frameNumber(FRAME.depthRow + 8 * k)));
    const shift = f.let(framePair(FRAME.shift));
    const nearest = f.let(frameNumber(FRAME.nearest));
    const out = f.let(frame(FRAME.points));
    const before = f.let(int(1));
    const end = f.let(points.add(count.mul(12)));
    f.range(points, points, end, 12, () => {
      const [x, y, z] = [0, 4, 8].map((at) => f.let(load(F32, points, at).toF64()));
      const depth = depths[0].mul(x).add(depths[1].mul(y)).add(depths[2].mul(z)).add(depths[3]);
      const inverse = f.let(double(1).div(depth));
      const [sx, sy, sz] = [x, y, z].map((k) => k.splat());
      const axes = columns[0].mul(sx).add(columns[1].mul(sy)).add(columns[2].mul(sz)).add(columns[3]);
      f.store(out, axes.mul(inverse.splat()).add(shift), POINT.pixel);
      f.store(out, inverse, POINT.inverse);
      f.set(before, before.and(inverse.gt(0)).and(inverse.le(nearest)));
      f.bump(out, POINT_BYTES);
    });
    return before;
  });
}

type SetEdges = Callable<[typeof I32, typeof I32, typeof I32, typeof I32, typeof F64], Nothing>;

/** Writes the edge functions of a triangle before the near plane behind the log's end. */
function defineSetEdges(library: Library): SetEdges {
  return library.define("setEdges", [I32, I32, I32, I32, F64], Nothing, (f, logged, p0, p1, p2, area) => {
    const corners = [p0, p1, p2].map((p) => ({
      x: f.let(load(F64, p, POINT.pixel)),
      y: f.let(load(F64, p, POINT.pixel + 8)),
    }));
    const inverses = [p0, p1, p2].map((p) => load(F64, p, POINT.inverse));
    const pairWeights = f.let(pairOf(inverses[0], inverses[1]).div(area.splat()));
    const lastWeight = f.let(inverses[2].div(area));
    const edge = (i: number): F64[] => {
      const [next, other] = [corners[(i + 1) % 3], corners[(i + 2) % 3]];
      return [next.y.sub(other.y), other.x.sub(next.x), next.x.mul(other.y).sub(other.x.mul(next.y))];
    };
    storeEdges(f, logged, edge, {
      pair: (values) => values.mul(pairWeights),
      last: (value) => value.mul(lastWeight),
    });
  });
}

/**
 * The same for a triangle with corners on both sides of the near plane, in homogeneous coordinates: it may cover all
 * of the picture. 0 when it is turned away.
 */
function defineSetEdgesAcrossNear(
  library: Library,
): Callable<[typeof I32, typeof I32, typeof I32, typeof I32], I32> {
  return library.define("setEdgesAcrossNear", [I32, I32, I32, I32], I32, (f, logged, p0, p1, p2) => {
    const [c0, c1, c2] = [p0, p1, p2].map((p) => {
      const z = f.let(double(1).div(load(F64, p, POINT.inverse)));
      const x = f.let(load(F64, p, POINT.pixel).mul(z));
      const y = f.let(load(F64, p, POINT.pixel + 8).mul(z));
      return { x, y, z };
    });
    const cross = (a: F64, b: F64, c: F64, d: F64): F64 => a.mul(b).sub(c.mul(d));
    const volume = f.let(
      c0.x
        .mul(cross(c1.y, c2.z, c2.y, c1.z))
        .sub(c0.y.mul(cross(c1.x, c2.z, c2.x, c1.z)))
        .add(c0.z.mul(cross(c1.x, c2.y, c2.x, c1.y))),
    );
    // Also for a point exactly at the eye (NaN).
    f.if(volume.mul(frameNumber(FRAME.turn)).lt(0).eq(0), () => f.return(int(0)));
    const corners = [c0, c1, c2];
    const edge = (i: number): F64[] => {
      const [next, other] = [corners[(i + 1) % 3], corners[(i + 2) % 3]];
      return [
        cross(next.y, other.z, next.z, other.y),
        cross(next.z, other.x, next.x, other.z),
        cross(next.x, other.y, next.y, other.x),
      ];
    };
    storeEdges(f, logged, edge, {
      pair: (values) => values.div(volume.splat()),
      last: (value) => value.div(volume),
    });
    return int(1);
  });
}

/** Two numbers as lanes. */
const pairOf = (a: F64, b: F64): F64x2 => a.splat().withLane(1, b);

/**
 * Stores a, b and c of each corner, scaled, as `TRIANGLE` has them. Pairs are stored as such: the processor is slow to read
 * as one what it has just written as two.
 */
function storeEdges(
  f: Func,
  logged: I32,
  edge: (corner: number) => readonly F64[],
  scaled: { pair(values: F64x2): F64x2; last(value: F64): F64 },
): void {
  const record = f.let(frame(FRAME.log).add(logged.mul(TRIANGLE_BYTES)));
  const [first, second, third] = [edge(0), edge(1), edge(2)];
  for (let k = 0; k < 3; k++) {
    f.store(record, scaled.pair(pairOf(first[k], second[k])), TRIANGLE.pairs + 16 * k);
    f.store(record, scaled.last(third[k]), TRIANGLE.last + 8 * k);
  }
}

/** a, b and c of the edge functions of a record. */
export function readEdges(f: Func, record: I32): { pair: Local<F64x2>; last: Local<F64> }[] {
  return [0, 1, 2].map((k) => ({
    pair: f.let(load(F64x2, record, TRIANGLE.pairs + 16 * k)),
    last: f.let(load(F64, record, TRIANGLE.last + 8 * k)),
  }));
}

export type PartOf = Callable<[typeof I32], I32>;

/** Index of the part that a sample shows, negative for none (`TriangleLog.partOf`). */
function definePartOf(library: Library): PartOf {
  return library.define("partOf", [I32], I32, (f, shown) => {
    f.if(shown.ltSigned(0), () => f.return(int(-3).sub(shown)));
    return load(I32, frame(FRAME.log).add(shown.mul(TRIANGLE_BYTES)), TRIANGLE.part);
  });
}

/** Does what a sample shows come later than a triangle of a record in the order of drawing? */
function defineIsLater(library: Library, partOf: PartOf): Callable<[typeof I32, typeof I32], I32> {
  return library.define("isLater", [I32, I32], I32, (f, shown, record) => {
    const part = f.let(load(I32, record, TRIANGLE.part));
    const other = f.let(partOf(shown));
    f.if(other.ne(part).or(shown.ltSigned(0)), () => f.return(other.gtSigned(part)));
    const its = frame(FRAME.log).add(shown.mul(TRIANGLE_BYTES));
    return load(I32, its, TRIANGLE.number).gtSigned(load(I32, record, TRIANGLE.number));
  });
}

function defineKeepFragment(
  library: Library,
  more: Callable<[], Nothing>,
): Callable<[typeof I32, typeof I32], Nothing> {
  return library.define("keepFragment", [I32, I32], Nothing, (f, sample, logged) => {
    const count = f.let(frame(FRAME.fragmentCount));
    f.if(count.eq(frame(FRAME.fragmentLimit)), () => f.do(more()));
    const at = f.let(frame(FRAME.fragments).add(count.mul(FRAGMENT_BYTES)));
    f.store(at, sample);
    f.store(at, logged, 4);
    f.store(int(0), count.add(1), FRAME.fragmentCount);
  });
}

/** Takes note of the tiles in a box of sample columns and rows. */
function defineNote(library: Library): Callable<[typeof I32, typeof I32, typeof I32, typeof I32], Nothing> {
  return library.define(
    "note",
    [I32, I32, I32, I32],
    Nothing,
    (f, firstColumn, lastColumn, firstRow, lastRow) => {
      const [left, right, bottom, top] = [firstColumn, lastColumn, firstRow, lastRow].map((at) =>
        f.let(at.shr(TILE_BITS + 2)),
      );
      const [x, y] = f.locals(I32, 2);
      const [stale, across] = [f.let(frame(FRAME.stale)), f.let(frame(FRAME.tilesAcross))];
      const [endX, endY] = [f.let(right.add(1)), f.let(top.add(1))];
      f.range(y, bottom, endY, 1, () => {
        const row = f.let(stale.add(y.mul(across)));
        f.range(x, left, endX, 1, () => f.storeByte(row.add(x), int(1)));
      });
    },
  );
}

type IsLater = ReturnType<typeof defineIsLater>;
type KeepFragment = ReturnType<typeof defineKeepFragment>;
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
function defineFillSmall(library: Library, isLater: IsLater, keep: KeepFragment): Fill {
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
function defineFillWide(library: Library, isLater: IsLater, keep: KeepFragment): Fill {
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
