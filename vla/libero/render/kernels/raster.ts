import {
  type Callable,
  F64,
  F64x2,
  I32,
  I32x4,
  int,
  type Library,
  load,
  loadByte,
  Nothing,
} from "../../../../core/index.ts";
import { FRAGMENT_BYTES, FRAME, POINT, POINT_BYTES, TRIANGLE, TRIANGLE_BYTES } from "../layout.ts";
import { holdsSample } from "../samples.ts";
import { TILE_BITS } from "../tiles.ts";
import { defineProject, defineSetEdges, defineSetEdgesAcrossNear } from "./edges.ts";
import { defineFillSmall, defineFillWide } from "./fill.ts";
import { frame, frameNumber, framePair } from "./frame.ts";

/** Triangles wider than this many sample columns get exact spans of each row instead of their bounding box. */
const WIDE = 12;

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

/**
 * What `holdsSample` says of boxes of up to four columns and rows: 64 (columns - 1) + 16 (rows - 1) + 4 (first column &
 * 3) + (first row & 3).
 */
export function holdsTable(): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, i) => {
    const [column, row] = [(i >> 2) & 3, i & 3];
    return holdsSample(column, column + (i >> 6), row, row + ((i >> 4) & 3)) ? 1 : 0;
  });
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
